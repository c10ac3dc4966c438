"""Where the numbers of a report come from, and which cells have none."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from arml.progress import duration
from arml.report.labels import markdown_escape, plural
from arml.report.sweep_cells import SEED, Entry, SweepRuns, groups_of

#: Characters of the reason of a failed cell that a report shows.
LONGEST_REASON = 200


def counts_text(runs: SweepRuns) -> str:
    """How many cells there are and what became of them."""
    counts = Counter(entry.status for entry in _distinct(runs.entries))
    total = sum(counts.values())
    parts = [f'{counts[status]} {status}' for status in counts]
    return f'{plural(total, "cell")}: ' + ', '.join(parts)


def unfinished(runs: SweepRuns) -> str:
    """A list of the cells without a result, with the last line of the log of a failed one; may be empty."""
    lines = []
    for entry in runs.entries:
        if entry.status in ('finished', 'pruned'):
            continue
        values = ', '.join(f'{name}={value}' for name, value in entry.parameters.items())
        reason = entry.reason[:LONGEST_REASON]
        if entry.status == 'failed' and not reason:
            reason = f'exit {entry.row.get("exit")}, no log'
        lines.append(f'- {entry.status}: `{values}`' + (f' - {_code(reason)}' if reason else ''))
    return '\n'.join(lines)


def record(runs: SweepRuns) -> dict[str, Any]:
    """What the finished runs were made with: each value that occurs."""
    rows = [entry.row for entry in _distinct(runs.finished)]
    versions: dict[str, set[str]] = {}
    for row in rows:
        for package, version in (row.get('versions') or {}).items():
            versions.setdefault(package, set()).add(str(version))
    commits, products = _each(rows, 'commit'), _products(rows)
    noted = [product for product in products if product.get('processor')]
    return {
        'config': runs.config,
        'dataset': runs.dataset,
        'data': {name: sorted(found) for name, found in _fingerprints(rows).items()},
        'commits': commits,
        'commits_of_reused': [c for c in _each(products, 'commit') if c not in [None, *commits]],
        'machines': _each(rows, 'machine'),
        'processors': _each([*rows, *noted], 'processor'),
        'gpus': _each(rows, 'gpu'),
        'threads': _each(rows, 'threads'),
        'fixed': _each(rows, 'fixed'),
        'versions': {package: sorted(found) for package, found in versions.items()},
        'seeds': _each([{'seed': entry.seed} for entry in runs.finished], 'seed'),
        'finished': [min(_each(rows, 'finished_at')), max(_each(rows, 'finished_at'))]
        if _each(rows, 'finished_at') != [None]
        else [],
        'seconds': sum(row.get('seconds') or 0 for row in rows),
        'strangers': runs.strangers,
    }


def text(runs: SweepRuns, found: dict[str, Any]) -> str:
    """:func:`record` as a paragraph."""
    earlier = _listed(found['commits_of_reused'])
    parts = [
        f'Config `{found["config"]}`, data set {markdown_escape(found["dataset"])}, seeds '
        f'{", ".join(map(str, found["seeds"]))}',
        f'commit {_listed(found["commits"])}'
        + (f', with products of {earlier}' if earlier else ''),
        f'device {", ".join(str(gpu or "CPU") for gpu in found["gpus"])}, threads '
        f'{", ".join(map(str, found["threads"]))}',
        f'{duration(found["seconds"])} of process time in all',
    ]
    lines = ['; '.join(parts) + '.']
    fixed = constants(runs)
    if fixed:
        lines.append(
            'The same in all cells: ' + ', '.join(f'`{k}={v}`' for k, v in fixed.items()) + '.'
        )
    if len(found['commits']) > 1 or earlier:
        lines.append(
            '**The runs are of several commits**: what changed between them is in the numbers.'
        )
    if len(found['processors']) > 1 and None in found['gpus']:
        kinds = '; '.join(name or 'one that was not noted' for name in found['processors'])
        lines.append(
            f'**The runs are of several processors** ({kinds}): each adds up in its own order, so equal seeds end '
            'elsewhere.'
        )
    mixed = [package for package, each in found['versions'].items() if len(each) > 1]
    if mixed:
        lines.append(f'**The runs are of several versions of {", ".join(mixed)}.**')
    several = [name for name, each in found['data'].items() if len(each) > 1]
    if several:
        lines.append(
            f'**The runs differ in the data of {", ".join(several)}** (their fingerprints)'
            + _others(runs, several)
        )
    if found['strangers']:
        lines.append(
            f'The ledger has {plural(found["strangers"], "finished run")} more that is no cell of this sweep '
            'as it is now (another config, data or --cfg-options).'
        )
    return '\n'.join(lines)


def constants(runs: SweepRuns) -> dict[str, Any]:
    """The parameters that have one value in all cells, without the seed."""
    values: dict[str, list] = {}
    for entry in runs.entries:
        for name, value in entry.parameters.items():
            values.setdefault(name, []).append(value)
    return {
        name: found[0]
        for name, found in values.items()
        if name != SEED and len(found) == len(runs.entries) and len(set(map(repr, found))) == 1
    }


def _others(runs: SweepRuns, several: Sequence[str]) -> str:
    """Whose data are not those of most lines; a full stop alone where lines are not told apart by it."""
    groups = groups_of(runs.finished)
    found = [_fingerprints([entry.row for entry in group.entries]) for group in groups]
    seen = [repr([sorted(each.get(name, ())) for name in several]) for each in found]
    most, _ = Counter(seen).most_common(1)[0]
    others = [
        group.label
        for group, uses, each in zip(groups, found, seen, strict=True)
        if each != most and uses.keys() >= set(several)
    ]
    if not others or 2 * len(others) > len(groups):
        return '.'
    return f': {", ".join(map(markdown_escape, others))} from the others.'


def _fingerprints(rows: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
    """The fingerprints of the data by ``stage.use``, as the runs say them."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for stage, uses in (row.get('data') or {}).items():
            for use, fingerprint in (uses or {}).items():
                found.setdefault(f'{stage}.{use}', set()).add(str(fingerprint))
    return found


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """One entry per run: equal cells are one."""
    return list({entry.run: entry for entry in entries}.values())


def _each(rows: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """The different values of a field, in the order of their first appearance."""
    return list({repr(row.get(key)): row.get(key) for row in rows}.values())


def _products(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The products of all stages, each once: several runs, of other commits too, may share one."""
    stages = [stage for row in rows for stage in (row.get('stages') or {}).values()]
    return list({stage.get('key'): stage for stage in stages}.values())


def _listed(commits: Sequence[str | None]) -> str:
    return ', '.join(f'`{str(commit)[:7]}`' for commit in commits)


def _code(text: str) -> str:
    return f'`{text.replace("`", "ʼ")}`'
