"""The report on one sweep that is a grid: table, tests, the paper beside, plots, what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from arml.atomic import write_text
from arml.errors import ConfigError
from arml.report import paper_comparison as beside_paper
from arml.report import provenance
from arml.report.comparators import BEST_OTHER
from arml.report.grid_plots import grid_plots
from arml.report.labels import assignment, label_of, markdown_escape, parameter_title, value_title
from arml.report.options import ReportOptions
from arml.report.paper_tables import PaperTable, paper_table
from arml.report.rows import RESULT
from arml.report.scores_table import ScoresTable, latex, markdown, scores_table, wide_frame
from arml.report.stats import LEVEL, smallest_seen
from arml.report.sweep_cells import (
    Group,
    SweepRuns,
    find_group,
    groups_of,
    split_by_row,
    varied,
)
from arml.report.table import PREFIXES

#: Seeds a line below which a report says how little its tests can see.
MANY_SEEDS = 10


@dataclass
class SweepReport:
    """A sweep's part of a report.

    Attributes:
        markdown: Its text; pictures lie beside it.
        latex: Its table.
        data: Everything as numbers.
        files: What was written.
        remarks: What could not be read, for the user's terminal.
    """

    markdown: str = ''
    latex: str = ''
    data: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def grid_report(runs: SweepRuns, options: ReportOptions, out: Path) -> SweepReport:
    """Make the report of a grid, its plots and its CSV file.

    Args:
        runs: The sweep and its cells.
        options: How to read it.
        out: Folder for plots and CSV.

    Raises:
        DataError: If no cell is finished, the cells are of several data sets, or one has no such row.
        ConfigError: If two of ``options.comparators`` are lines of it.
        ArmlError: If a file cannot be written.
    """
    groups, names = lines_of(runs, options)
    asked = comparator_of(runs.name, groups, options)
    comparator = asked if isinstance(asked, Group) else None
    paper = paper_table(runs.tag) if runs.tag else None
    refusal = '' if paper is None else beside_paper.why_not(
        paper, runs.dataset, options.row, options.protocol
    )  # fmt: skip
    own = paper is not None and not refusal
    paper_notes: list[str] = []
    paper_rows = {} if paper is None else beside_paper.rows_by_group(
        paper, groups, runs.dataset if own else beside_paper.PAPER_DATASET
    )  # fmt: skip
    table = scores_table(
        groups, names, runs.classes, options.row, options.metric, options.protocol, asked,
        options.test, options.correction, paper_rows if own else None,
    )  # fmt: skip
    check_metric(runs, table, options)
    plots = grid_plots(runs, table, comparator, out, options.tiles)
    made = provenance.record(runs)
    notes = notes_of(runs, table, comparator, options)
    frame = wide_frame(table)
    csv = out / f'{runs.name}.csv'
    write_text(csv, frame.to_csv(index=False))
    sections = [
        f'## {markdown_escape(runs.name)}',
        lead(runs, groups, names),
        markdown(table),
        '\n'.join(f'- {note}' for note in notes),
    ]
    data: dict[str, Any] = {
        'sweep': runs.name, 'method': runs.method, 'rows': list(options.rows),
        'protocol': options.protocol, 'metric': table.metric, 'test': options.test,
        'comparator': dict(comparator.values) if comparator else asked, 'dagger': options.correction,
        'made_with': made, 'lines': [_line(line, options.row) for line in table.lines],
        'notes': notes,
    }  # fmt: skip
    if comparator is not None:
        sections += [
            f'### Against {markdown_escape(assignment(comparator.values))}',
            beside_paper.tests_table(table, comparator.label),
        ]
    if table.best_other:
        data['pairs'] = pairs = beside_paper.pairs_of(table)
        sections += [
            '### The best method of each column against the best of the others',
            beside_paper.pairs_table(pairs)
            if pairs
            else 'No column has two methods with all their seeds.',
        ]
    if paper is not None:
        text, data['paper'] = _paper_section(
            runs, table, paper, paper_rows, refusal, comparator, options
        )
        sections += text
        if own:
            paper_notes = [f'Paper: {paper.source}.', *data['paper']['notes']]
    for plot in plots.plots:
        sections.append(f'### {plot.title}\n\n![{plot.title}]({plot.file.name})\n\n{plot.caption}')
    missing = provenance.unfinished(runs)
    if missing:
        sections += ['### Missing and failed cells', missing]
    sections += ['### How it was made', provenance.text(runs, made)]
    return SweepReport(
        markdown='\n\n'.join(section for section in sections if section),
        latex=latex(
            table, f'{runs.name}, {runs.dataset}', f'tab:{runs.name}', [*notes, *paper_notes]
        ),
        data={**data, 'plots': [plot.file.name for plot in plots.plots]},
        files=[csv, *plots.files],
        remarks=plots.remarks,
    )


def lines_of(runs: SweepRuns, options: ReportOptions) -> tuple[list[Group], list[str]]:
    """The lines of a grid's table, and the parameters that they differ by."""
    groups = [
        replace(
            group,
            upper_bound=runs.is_upper_bound(group.values),
            variant_of=runs.variant_of(group.values),
        )
        for group in groups_of(runs.entries)
    ]
    names = varied(runs.entries)
    return split_by_row(groups, options.rows), [*names, RESULT] if len(options.rows) > 1 else names


def comparator_of(
    name: str, groups: Sequence[Group], options: ReportOptions
) -> Group | str | None:  # fmt: skip
    """The line of a sweep that is one of the comparators a user names; else ``'best-other'`` if that is; else None.

    Raises:
        ConfigError: If two are.
    """
    lines = {text: find_group(groups, text) for text in options.comparators}
    found = {text: group for text, group in lines.items() if group is not None}
    if len(found) > 1:
        raise ConfigError(
            f'--comparator: found {" and ".join(found)}, both lines of the sweep {name}; its other lines '
            'can be tested against one'
        )
    if not found and BEST_OTHER in options.comparators:
        return BEST_OTHER
    return next(iter(found.values()), None)


def check_metric(runs: SweepRuns, table: ScoresTable, options: ReportOptions) -> None:
    """Refuse a score that no run has.

    Raises:
        ConfigError: If so; names those that there are.
    """
    if any(line.scores[table.metric].n for line in table.lines):
        return
    known = {
        name.removeprefix(PREFIXES[options.protocol]): None
        for entry in runs.finished
        for name, value in entry.metrics(options.row).items()
        if value is not None and name.startswith('B.') == (options.protocol == 'B')
    }
    raise ConfigError(
        f'sweep {runs.name}: --metric: found {options.metric!r}, but {options.row} has under protocol '
        f'{options.protocol} {", ".join(known) or "no score"}'
    )


def lead(runs: SweepRuns, groups: Sequence[Group], names: Sequence[str]) -> str:
    """What varies, and how much of it is there."""
    parts = []
    for name in names:
        values = dict.fromkeys(value_title(name, group.values[name]) for group in groups)
        title = parameter_title(name)
        path = '' if title == name else f' (`{name}`)'
        parts.append(f'{markdown_escape(title)}{path}: {", ".join(map(markdown_escape, values))}')
    what = '; '.join(parts) or 'only the seed varies'
    return f'{what}. {provenance.counts_text(runs)}.'


def notes_of(
    runs: SweepRuns, table: ScoresTable, comparator: Group | None, options: ReportOptions
) -> list[str]:
    """How the table is read and what it cannot say; plain text."""
    splits = {entry.line(options.row).get('split') for entry in runs.finished}
    split = ', '.join(sorted(str(each) for each in splits))
    title = beside_paper.score_title(table.metric)
    protocol = {'A': 'background dropped', 'B': 'background counts'}[options.protocol]
    notes = [
        f'{" and ".join(options.rows)} on {runs.dataset}, {split} split, protocol {options.protocol} ({protocol}), '
        'percent; mean ± standard deviation over n seeds (n - 1 in the denominator). '
        'Columns of classes are IoU.'
    ]
    if len(table.lines) > 1:
        notes.append('Bold: the highest mean of a column, among lines with all their seeds.')
    bounds = [line.group.label for line in table.lines if line.group.upper_bound]
    if bounds:
        notes.append(
            f'Upper bounds, which compete neither for bold nor for †: {"; ".join(bounds)}.'
        )
    for group in (line.group for line in table.lines if line.group.alike):
        others = '; '.join(label_of(values) for values in group.alike)
        notes.append(
            f'Maps are printed once: those of {label_of(group.own)} are those of {others}, too.'
        )
    if any(value_title(k, v) == '∞' for line in table.lines for k, v in line.group.values.items()):
        notes.append('ω = ∞ (drop): pixels on which the two other networks disagree are left out.')
    seeds = 0
    if table.best_other:
        notes.append(_best_other_note(table, options))
        variants = [
            f'{label_of({name: line.group.values[name]})} (of {label_of({name: of})})'
            for line in table.lines
            for name, of in line.group.variant_of.items()
        ]
        if variants:
            notes.append(
                f'Variants of a method are not its rivals: {"; ".join(dict.fromkeys(variants))}.'
            )
        seeds = min((test.n for line in table.lines for test in line.tests.values()), default=0)
    elif comparator is not None:
        notes.append(_dagger_note(table, comparator, title, options))
        seeds = len(comparator.scores(options.row, table.metric))
    elif len(table.lines) > 1:
        notes.append('No line was named to compare with (--comparator), so nothing is tested.')
    if 1 < seeds < MANY_SEEDS:
        notes.append(_few_seeds_note(seeds, options.test == 'paired'))
    if any(line.missing for line in table.lines):
        notes.append(
            f'Lines without all their seeds say so (2 of 3). Without a result: {_lacking(table)}.'
        )
    return notes


def _few_seeds_note(seeds: int, paired: bool) -> str:
    which, of, test = (
        (f'{seeds} shared seeds a mean', 'the differences', 'paired t-test')
        if paired
        else (f'n = {seeds} on both sides an observed', 'a line', "Student's t-test")
    )
    return (
        f'Few seeds: with {which} difference below {smallest_seen(seeds, paired=paired):.1f} standard deviations '
        f'of {of} cannot reach p < {LEVEL} ({test}, uncorrected). No dagger does not mean no difference.'
    )


def _lacking(table: ScoresTable) -> str:
    """The cells without a result by line, seed and status."""
    found = []
    for line in table.lines:
        by_status: dict[str, list[str]] = {}
        for entry in line.missing:
            by_status.setdefault(entry.status, []).append(str(entry.seed))
        parts = [f'{status} seed {", ".join(seeds)}' for status, seeds in by_status.items()]
        if parts:
            found.append(f'{assignment(line.group.values)} ({"; ".join(parts)})')
    return ', '.join(found)


def _dagger_note(table: ScoresTable, comparator: Group, title: str, options: ReportOptions) -> str:
    tested = [line.tests[table.metric] for line in table.lines if table.metric in line.tests]
    possible = sum(test.p == test.p for test in tested)
    if not possible:
        return (
            f'No line could be tested against {assignment(comparator.values)}: a test needs two seeds '
            'a side, and some spread.'
        )
    which = (
        f'Holm-corrected over the {possible} lines that could be tested'
        if options.correction == 'holm'
        else 'not corrected for the number of lines'
    )
    return (
        f'† {title} differs from {assignment(comparator.values)}: p < {LEVEL}, '
        f'{beside_paper.title_of_test(options.test)}, {which}. Raw and corrected p of every score are in '
        'report.json.'
    )


def _best_other_note(table: ScoresTable, options: ReportOptions) -> str:
    count = sum(test.p == test.p for line in table.lines for test in line.tests.values())
    if not count:
        return (
            'The best method could not be tested against another one: that needs two methods with two '
            'seeds each, and some spread.'
        )
    which = (
        f'Holm-corrected over the {count} columns that could be tested'
        if options.correction == 'holm'
        else 'not corrected for the number of columns'
    )
    return (
        f'† the best method of a column differs from the best of the other methods: p < {LEVEL}, '
        f'{beside_paper.title_of_test(options.test)}, {which}. The means choose the pair, so p is about '
        'these two and ranks nothing else; pairs with raw and corrected p stand below and in report.json.'
    )


def _paper_section(
    runs: SweepRuns, table: ScoresTable, paper: PaperTable, rows: dict, refusal: str,
    comparator: Group | None, options: ReportOptions,
) -> tuple[list[str], dict[str, Any]]:  # fmt: skip
    """Ours beside the paper's, as text and as numbers."""
    data: dict[str, Any] = {'table': paper.name, 'source': paper.source, 'not_comparable': refusal}
    names = [row.name for row in rows.values()]
    dataset = beside_paper.PAPER_DATASET if refusal else runs.dataset
    notes = beside_paper.notes_of(paper, names, dataset)
    data |= {'notes': notes}
    text = [f'### Beside {paper.name} of the paper: {markdown_escape(paper.title)}']
    if not rows:
        return [*text, f'{paper.name} has no row of these values.'], data
    if not refusal:
        found = beside_paper.beside(table, options.paper_n)
        data['values'] = found
        text.append(beside_paper.beside_table(found))
        if options.paper_n is not None:
            text.append(
                f"p: two-tailed Welch's t-test from the paper's mean and spread with n = {options.paper_n}, "
                'as given by --paper-n; the paper does not state its n. Not corrected.'
            )
    elif table.metric in next(iter(rows.values())).scores and len(rows) > 1:
        place = next((i for i in rows if table.lines[i].group is comparator), next(iter(rows)))
        reference = table.lines[place].group.label
        found = beside_paper.differences_beside(table, rows, place)
        data['differences'] = found
        text += [
            f'Values are not comparable: {refusal}. Only differences between lines stand side by side, and '
            'they too are of another task.',
            beside_paper.differences_beside_table(table, found, runs.dataset, reference),
        ]
    else:
        text.append(f'Not comparable: {refusal}.')
    text.append('\n'.join(f'- {note}' for note in [f'Source: {paper.source}.', *notes]))
    return text, data


def _line(line, row: str) -> dict[str, Any]:
    """A line of the table in numbers, single seeds included."""
    return {
        'label': line.group.label,
        'values': dict(line.group.values),
        'cells': [
            {
                'run': entry.run, 'seed': entry.seed, 'status': entry.status,
                'reason': entry.reason or None, 'metrics': dict(entry.metrics(row)),
            }
            for entry in line.group.entries
        ],
        'scores': {name: vars(score) for name, score in line.scores.items()},
        'tests': {name: vars(test) for name, test in line.tests.items()},
    }  # fmt: skip
