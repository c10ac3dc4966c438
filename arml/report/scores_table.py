"""The table of a sweep: a line per combination of values, mean ± standard deviation over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from arml.report.comparators import BEST_OTHER, tests_of
from arml.report.labels import (
    latex_escape,
    markdown_escape,
    parameter_title,
    value_title,
)
from arml.report.paper_tables import PaperRow
from arml.report.stats import LEVEL, Comparison, Summary, summarise
from arml.report.sweep_cells import Group
from arml.report.table import PREFIXES, columns, header, number


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        group: Its cells.
        scores: Summary by name of the score.
        seeds: Single values by name of the score and seed.
        tests: Comparison with the comparator, or of the best with the best other method, by name of the score.
        paper: The paper's row, where it can be compared.
    """

    group: Group
    scores: Mapping[str, Summary]
    seeds: Mapping[str, Mapping[Any, float]]
    tests: Mapping[str, Comparison] = field(default_factory=dict)
    paper: PaperRow | None = None

    @property
    def missing(self) -> list:
        """Its cells without a result."""
        return [entry for entry in self.group.entries if entry.status != 'finished']


@dataclass(frozen=True)
class ScoresTable:
    """The lines of a sweep and how they are read.

    Attributes:
        names: Varied parameters, by dotted path.
        classes: Names of the classes.
        protocol: ``'A'`` or ``'B'``.
        metric: The score that is tested and that the paper's column is of, as in the ledger.
        correction: What a dagger means: ``'holm'`` or ``'none'``.
        lines: The lines, in the order of the sweep.
        best_other: Whether in each column the best method was tested against the best of the others.
    """

    names: Sequence[str]
    classes: Sequence[str]
    protocol: str
    metric: str
    correction: str
    lines: Sequence[Line]
    best_other: bool = False

    @property
    def columns(self) -> list[str]:
        """Names of the scores, as in the ledger: IoU per class, then the means, then ``metric`` if not among them."""
        names = [PREFIXES[self.protocol] + name for name in columns(self.classes)]
        return list(dict.fromkeys([*names, self.metric]))

    @property
    def titles(self) -> list[str]:
        """Titles of :attr:`columns`."""
        titles = dict(zip(columns(self.classes), header(self.classes), strict=True))
        prefix = PREFIXES[self.protocol]
        return [titles.get(name.removeprefix(prefix), name) for name in self.columns]

    def best(self, name: str) -> float:
        """The highest mean of a score among lines that compete and have all seeds; NaN below two such lines."""
        means = [line.scores[name].mean for line in self.lines if self._competes(line, name)]
        return max(means) if len(means) > 1 else math.nan

    def is_best(self, line: Line, name: str) -> bool:
        """Whether a line competes and has the highest mean of a score."""
        return self._competes(line, name) and line.scores[name].mean == self.best(name)

    @staticmethod
    def _competes(line: Line, name: str) -> bool:
        return line.scores[name].n == line.scores[name].expected and not line.group.upper_bound

    def has_dagger(self, line: Line, name: str) -> bool:
        """Whether a difference is marked; to a comparator only those of ``metric`` are."""
        test = line.tests.get(name)
        if test is None or not (self.best_other or name == self.metric):
            return False
        return (test.p_holm if self.correction == 'holm' else test.p) < LEVEL


def scores_table(
    groups: Sequence[Group],
    names: Sequence[str],
    classes: Sequence[str],
    row: str,
    metric: str = 'mIoU',
    protocol: str = 'A',
    comparator: Group | str | None = None,
    test: str = 'welch',
    correction: str = 'holm',
    paper: Mapping[int, PaperRow] | None = None,
) -> ScoresTable:
    """Put the groups of a sweep into lines.

    Args:
        groups: From :func:`arml.report.sweep_cells.groups_of`.
        names: The varied parameters.
        classes: Names of the classes.
        row: Which line of the runs' own tables is read, e.g. ``ARML``.
        metric: The score that matters, without the protocol's prefix.
        protocol: ``'A'`` or ``'B'``.
        comparator: The group that the others are tested against, or
            :data:`arml.report.comparators.BEST_OTHER`; None: no tests.
        test: Key of :data:`arml.report.stats.TESTS`.
        correction: What a dagger means: ``'holm'`` (over the lines of one score; of the best against the best other
            method over the scores) or ``'none'``.
        paper: Row of the paper by position of the group.

    Raises:
        DataError: If a finished run has no such row.
    """
    table = ScoresTable(
        names, classes, protocol, PREFIXES[protocol] + metric, correction, lines=[],
        best_other=comparator == BEST_OTHER,
    )  # fmt: skip
    values = [
        {name: group.scores(row, name) for name in table.columns} for group in groups
    ]  # fmt: skip
    tests = tests_of(groups, values, table.columns, comparator, test)
    for index, group in enumerate(groups):
        expected = len(group.entries)
        scores = {
            name: summarise(list(values[index][name].values()), expected) for name in table.columns
        }
        table.lines.append(
            Line(group, scores, values[index], tests[index], (paper or {}).get(index))
        )
    return table


def markdown(table: ScoresTable) -> str:
    """The table in Markdown: best in bold, † as :attr:`ScoresTable.correction` says."""
    frame = _frame(table, _markdown_score, markdown_escape)
    align = ['left'] * len(table.names or ['']) + ['right'] * (
        frame.shape[1] - len(table.names or [''])
    )
    return frame.to_markdown(index=False, tablefmt='pipe', colalign=align, disable_numparse=True)


def latex(table: ScoresTable, caption: str, label: str, notes: Sequence[str] = ()) -> str:
    r"""The table in LaTeX (booktabs), notes below it.

    Args:
        table: The table.
        caption: Plain text.
        label: For ``\\ref``.
        notes: Plain text, one paragraph each.
    """
    frame = _frame(table, _latex_score, latex_escape)
    left = len(table.names or [''])
    text = frame.to_latex(
        index=False,
        escape=False,
        column_format='l' * left + 'r' * (frame.shape[1] - left),
        caption=latex_escape(caption),
        label=label,
        position='t',
    )
    below = ''.join(f'\n\\par\\footnotesize {latex_escape(note)}' for note in notes)
    return text.replace('\\end{tabular}', f'\\end{{tabular}}{below}')


def wide_frame(table: ScoresTable) -> pd.DataFrame:
    """The table in numbers: values, cells by status, n, mean and std of each score, p of the tests, the paper's."""
    rows = []
    for line in table.lines:
        found: dict[str, Any] = {name: line.group.values[name] for name in table.names}
        found['expected'] = len(line.group.entries)
        for status in ('failed', 'missing'):
            found[status] = sum(entry.status == status for entry in line.group.entries)
        for name in table.columns:
            score = line.scores[name]
            found |= {f'{name}.n': score.n, f'{name}.mean': score.mean, f'{name}.std': score.std}
            if name in line.tests:
                found |= {
                    f'{name}.p': line.tests[name].p,
                    f'{name}.p_holm': line.tests[name].p_holm,
                }
        if line.paper is not None:
            for name, value in line.paper.scores.items():
                found[f'paper.{name}'] = value
                if name in line.scores:
                    found[f'difference.{name}'] = line.scores[name].mean - value
        rows.append(found)
    return pd.DataFrame(rows)


def seeds_text(line: Line, metric: str) -> str:
    """``3``, or ``2 of 3`` where some have no result."""
    score = line.scores[metric]
    return str(score.n) if score.n == score.expected else f'{score.n} of {score.expected}'


def _frame(table: ScoresTable, score_text, escape) -> pd.DataFrame:
    """The table as texts. A score with fewer seeds than the metric says its own n."""
    with_paper = any(line.paper and table.metric in line.paper.scores for line in table.lines)
    title = dict(zip(table.columns, table.titles, strict=True))[table.metric]
    heads = [escape(parameter_title(name)) for name in table.names] or ['']
    heads += ['n', *map(escape, table.titles)]
    heads += [f'paper {escape(title)}', 'difference'] if with_paper else []
    rows = []
    for line in table.lines:
        cells = [escape(value_title(n, line.group.values[n])) for n in table.names] or ['all']
        cells.append(seeds_text(line, table.metric))
        for name in table.columns:
            score = line.scores[name]
            few = score.n not in (0, line.scores[table.metric].n)
            cells.append(
                score_text(score, table.is_best(line, name), table.has_dagger(line, name))
                + (f' (n={score.n} of {score.expected})' if few else '')
            )
        if with_paper:
            theirs = line.paper.scores.get(table.metric) if line.paper else None
            ours = line.scores[table.metric].mean
            less = math.nan if theirs is None else ours - theirs
            cells += [escape(number(theirs)), escape(signed(less))]
        rows.append(cells)
    return pd.DataFrame(rows, columns=_unique(heads), dtype=str)


def _unique(heads: list[str]) -> list[str]:
    """Titles made different by spaces: a class may be called as a parameter is."""
    counts = dict.fromkeys(heads, 0)
    unique = []
    for head in heads:
        unique.append(head + ' ' * counts[head])
        counts[head] += 1
    return unique


def signed(value: float) -> str:
    """A difference with its sign; a dash where there is none."""
    if math.isnan(value) or round(value, 2) == 0:
        return number(abs(value))
    return f'{value:+.2f}'.replace('-', '−')


def spread(score: Summary) -> str:
    """``70.56 ± 0.19``; the mean alone below two seeds, a dash without any."""
    return number(score.mean) + (f' ± {number(score.std)}' if score.n > 1 else '')


def _markdown_score(score: Summary, best: bool, dagger: bool) -> str:
    text = spread(score)
    return (f'**{text}**' if best else text) + ('†' if dagger else '')


def _latex_score(score: Summary, best: bool, dagger: bool) -> str:
    if not score.n:
        return '--'
    mean = number(score.mean)
    text = f'\\mathbf{{{mean}}}' if best else mean
    text += f' \\pm {number(score.std)}' if score.n > 1 else ''
    return f'${text}^\\dagger$' if dagger else f'${text}$'
