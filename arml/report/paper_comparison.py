"""Ours beside the paper: values where they can be compared, differences between lines where not."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from arml.report.labels import markdown_escape
from arml.report.paper_tables import PaperRow, PaperTable
from arml.report.rows import FINAL, OLDER
from arml.report.scores_table import ScoresTable, signed, spread
from arml.report.stats import TESTS, compare_published
from arml.report.sweep_cells import Group
from arml.report.table import HEADERS, number

#: Data set of the paper's ablations; what other data are compared with, as differences only.
PAPER_DATASET = 'BCSS-WSSS'


def why_not(paper: PaperTable, dataset: str, row: str, protocol: str) -> str:
    """Why our values cannot stand beside a table of the paper; empty if they can.

    Args:
        paper: The table.
        dataset: Our data set.
        row: Line of the runs' own tables that is read.
        protocol: Protocol of our scores.
    """
    datasets = list(dict.fromkeys(each.dataset for each in paper.rows))
    if dataset not in datasets:
        return f'another data set (ours {dataset}, the paper {" and ".join(datasets)})'
    if FINAL not in (row, OLDER.get(row)):
        return f'another result (ours {row}, the paper the final segmentor)'
    if protocol != paper.protocol:
        return f'another protocol (ours {protocol}, the paper {paper.protocol})'
    return ''


def notes_of(paper: PaperTable, names: Iterable[str], dataset: str) -> list[str]:
    """What to know about a table of the paper; plain text.

    Args:
        paper: The table.
        names: Those of its rows that stand beside ours.
        dataset: Data set of the paper's rows.
    """
    notes = [f'The paper prints {paper.metric}.', *paper.notes_of(dataset)]
    others = paper.others(names, dataset)
    if others:
        listed = (
            f'{row.name} '
            + ', '.join(f'{score_title(k)} {number(v)}' for k, v in row.scores.items())
            for row in others
        )
        notes.append(f'Its other rows on {dataset}: {"; ".join(listed)}.')
    return [*notes, f'Not taken over, as it could not be verified: {paper.left_out}.']


def rows_by_group(
    paper: PaperTable, groups: Sequence[Group], dataset: str
) -> dict[int, PaperRow]:  # fmt: skip
    """The paper's row of each group that has one.

    Args:
        paper: The table.
        groups: Lines of our table.
        dataset: Data set of the paper's rows.
    """
    found = {}
    for index, group in enumerate(groups):
        # A parameter with one value varies nothing, but may be what the paper's row is of.
        values = {**group.entries[0].parameters, **group.values} if group.entries else group.values
        row = paper.row_of(values, dataset)
        if row is not None:
            found[index] = row
    return found


def beside(table: ScoresTable, paper_n: int | None = None) -> list[dict[str, Any]]:
    """Every score that the paper has too.

    Args:
        table: Our lines with their rows of the paper.
        paper_n: Runs behind the paper's rows, as the user says; None: no test against them.

    Returns:
        One entry a line and score: ``label, paper_row, score, n, expected, mean, std, paper, paper_std,
        difference, test``.
    """
    found = []
    for line in table.lines:
        for name in table.columns:
            if line.paper is None or name not in line.paper.scores:
                continue
            ours, theirs = line.scores[name], line.paper.scores[name]
            std = line.paper.std.get(name)
            values = list(line.seeds[name].values())
            test = None
            if paper_n is not None and std is not None and ours.n > 1:
                test = compare_published(values, theirs, std, paper_n)
            found.append(
                {
                    'label': line.group.label, 'paper_row': line.paper.name, 'score': name,
                    **vars(ours), 'paper': theirs, 'paper_std': std,
                    'difference': ours.mean - theirs, 'test': test and vars(test),
                }
            )  # fmt: skip
    return found


def beside_table(found: Sequence[Mapping[str, Any]]) -> str:
    """:func:`beside` in Markdown."""
    with_test = any(each['test'] for each in found)
    head = ['', 'the paper calls it', 'score', 'n', 'ours', 'paper', 'difference']
    head += ['p'] if with_test else []
    lines = []
    for each in found:
        ours = number(each['mean']) + (f' ± {number(each["std"])}' if each['n'] > 1 else '')
        std = each['paper_std']
        theirs = number(each['paper']) + ('' if std is None else f' ± {number(std)}')
        n = each['n'] if each['n'] == each['expected'] else f'{each["n"]} of {each["expected"]}'
        line = [
            markdown_escape(each['label']), markdown_escape(each['paper_row']),
            score_title(each['score']), n, ours, theirs, signed(each['difference']),
        ]  # fmt: skip
        if with_test:
            line.append(p_text(each['test']['p'] if each['test'] else math.nan))
        lines.append(line)
    return _table(lines, head, texts=3)


def differences_beside(
    table: ScoresTable, rows: Mapping[int, PaperRow], reference: int
) -> list[dict[str, Any]]:
    """How far the lines lie from one of them, ours and the paper's.

    Args:
        table: Our lines.
        rows: The paper's row by position of the line.
        reference: Position of the line that is subtracted; one of ``rows``.

    Returns:
        One entry a line with a row of the paper: ``label, paper_row, n, mean, std, difference,
        paper_difference``.
    """
    name = table.metric
    base, paper_base = table.lines[reference].scores[name].mean, rows[reference].scores[name]
    found = []
    for index, row in rows.items():
        score = table.lines[index].scores[name]
        found.append(
            {
                'label': table.lines[index].group.label, 'paper_row': row.name, **vars(score),
                'difference': score.mean - base, 'paper_difference': row.scores[name] - paper_base,
            }
        )  # fmt: skip
    return found


def differences_beside_table(
    table: ScoresTable, found: Sequence[Mapping[str, Any]], dataset: str, reference: str
) -> str:
    """:func:`differences_beside` in Markdown."""
    scores = {line.group.label: line.scores[table.metric] for line in table.lines}
    lines = [
        [
            markdown_escape(each['label']),
            markdown_escape(each['paper_row']),
            spread(scores[each['label']]),
            '0' if each['label'] == reference else signed(each['difference']),
            signed(each['paper_difference']),
        ]
        for each in found
    ]
    head = [
        '', 'the paper calls it', f'ours, {markdown_escape(dataset)}',
        f'ours − {markdown_escape(reference)}',
        f'paper − {markdown_escape(reference)} ({PAPER_DATASET})',
    ]  # fmt: skip
    return _table(lines, head, texts=2)


def tests_table(table: ScoresTable, comparator: str) -> str:
    """The tests of the metric in Markdown: difference, its interval, both p-values and the effect size."""
    lines = []
    for line in table.lines:
        test = line.tests.get(table.metric)
        if test is None:
            continue
        lines.append(
            [
                markdown_escape(line.group.label), f'{test.n}, {test.n_reference}',
                signed(test.difference), _interval(test.low, test.high), p_text(test.p), p_text(test.p_holm),
                number(test.hedges_g).replace('-', '−'),
            ]
        )  # fmt: skip
    head = [
        '', 'n', f'{score_title(table.metric)} − {markdown_escape(comparator)}', '95 % interval',
        'p', 'p (Holm)', 'Hedges g',
    ]  # fmt: skip
    return _table(lines, head, texts=1)


def pairs_of(table: ScoresTable) -> list[dict[str, Any]]:
    """The best method of each column and the best of the others: their means, and the test between them.

    Args:
        table: Tested so (:attr:`ScoresTable.best_other`).

    Returns:
        One entry a column that has such a pair: ``score, best, mean, other, other_mean, test``.
    """
    lines = {line.group.label: line for line in table.lines}
    found = []
    for name in table.columns:
        for line in table.lines:
            test = line.tests.get(name)
            if test is not None:
                other = lines[test.reference]
                found.append(
                    {
                        'score': name, 'best': line.group.label, 'mean': line.scores[name].mean,
                        'other': other.group.label, 'other_mean': other.scores[name].mean, 'test': vars(test),
                    }
                )  # fmt: skip
    return found


def pairs_table(pairs: Sequence[Mapping[str, Any]]) -> str:
    """:func:`pairs_of` in Markdown."""
    lines = []
    for each in pairs:
        test = each['test']
        lines.append(
            [
                score_title(each['score'].replace('IoU.', '')), markdown_escape(each['best']), number(each['mean']),
                markdown_escape(each['other']), number(each['other_mean']), f'{test["n"]}, {test["n_reference"]}',
                signed(test['difference']), _interval(test['low'], test['high']), p_text(test['p']),
                p_text(test['p_holm']), number(test['hedges_g']).replace('-', '−'),
            ]
        )  # fmt: skip
    head = [
        'column', 'best', 'mean', 'best other', 'its mean', 'n', 'difference', '95 % interval', 'p', 'p (Holm)',
        'Hedges g',
    ]  # fmt: skip
    return tabulate(
        lines, head, tablefmt='pipe', disable_numparse=True,
        colalign=('left', 'left', 'right', 'left', *['right'] * 7),
    )  # fmt: skip


def score_title(name: str) -> str:
    """A score for a reader: ``mDice`` is Dice, ``B.mIoU`` mIoU under protocol B."""
    bare = name.removeprefix('B.')
    return HEADERS.get(bare, bare) + (' (B)' if bare != name else '')


def title_of_test(test: str) -> str:
    """A test for a reader."""
    return f'two-tailed {TESTS[test]}'


def p_text(p: float) -> str:
    """A p-value for a reader; a dash where no test could be made."""
    if math.isnan(p):
        return '–'
    return '< 0.001' if p < 0.001 else f'{p:.3f}'


def _interval(low: float, high: float) -> str:
    return '–' if math.isnan(low) else f'{signed(low)} to {signed(high)}'


def _table(lines: list[list], head: list[str], texts: int) -> str:
    align = ['left'] * texts + ['right'] * (len(head) - texts)
    return tabulate(lines, head, tablefmt='pipe', colalign=align, disable_numparse=True)
