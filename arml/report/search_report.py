"""The report on one sweep that is a search: its best trials, importance and slices of its parameters."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from arml.atomic import write_text
from arml.errors import ConfigError, DataError
from arml.report import provenance
from arml.report.curves import curves_of
from arml.report.grid_report import SweepReport
from arml.report.labels import latex_escape, markdown_escape, parameter_title, value_title
from arml.report.options import ReportOptions
from arml.report.paper_comparison import score_title
from arml.report.plot_search import draw_importance, draw_slices
from arml.report.result import load_history
from arml.report.sweep_cells import Entry, SweepRuns, varied
from arml.report.table import PREFIXES, number

#: Trials that the table shows.
SHOWN = 10
#: Finished trials below which importances say nothing.
FEWEST = 10


def searched(runs: SweepRuns) -> tuple[list[Entry], list[float]]:
    """The finished trials of a search and the validation score of each.

    Args:
        runs: The search; its metric is ``<stage>/val/<score>``.

    Raises:
        ConfigError: If its metric is not of a validation: a search led by the test split would be chosen on it.
        DataError: If no trial is finished, or one has no such score.
    """
    stage, _, rest = runs.metric.partition('/')
    kind, _, score = rest.partition('/')
    if kind != 'val' or not score:
        raise ConfigError(
            f'sweep {runs.name}: metric: found {runs.metric!r}, expected <stage>/val/<score>: a search is '
            'chosen on validation'
        )
    values = [_validation(entry, stage, score, runs.goal) for entry in runs.finished]
    if not values:
        raise DataError(
            f'sweep {runs.name}: no trial is finished; run it first: tools/sweep.py run'
        )
    return runs.finished, values


def _validation(entry: Entry, stage: str, score: str, goal: str) -> float:
    """The best validation of a trial: as its line says or, where that is of another score, as its history does."""
    found = (entry.row.get('validation') or {}).get(stage) or {}
    if str(found.get('metric')).removeprefix('val/') == score and found.get('value') is not None:
        return float(found['value'])
    file = (entry.row.get('histories') or {}).get(stage)
    values: list[float] = []
    if file and entry.row.get('work_dir'):
        history = load_history(Path(entry.row['work_dir']) / file)
        values = curves_of(history, 'val', re.escape(score)).get(score, ([], []))[1]
    if not values:
        raise DataError(
            f'run {entry.run}: neither its line nor its history has a validation score {score!r} of {stage}; '
            f'its line has {entry.row.get("validation")}'
        )
    return min(values) if goal == 'minimize' else max(values)


def search_report(
    runs: SweepRuns,
    options: ReportOptions,
    out: Path,
    importance: Mapping[str, float] | None = None,
    method: str = '',
) -> SweepReport:
    """Make the report of a search, its plots and its CSV file.

    Args:
        runs: The search and its trials.
        options: How to read it; the row and the metric are those of the test scores beside.
        out: Folder for plots and CSV.
        importance: Share of each parameter; None if it could not be computed.
        method: What it was computed by.

    Raises:
        ConfigError: If its metric is not of a validation.
        DataError: If no trial is finished or one lacks a score.
        ArmlError: If a file cannot be written.
    """
    trials, values = searched(runs)
    sign = -1 if runs.goal == 'minimize' else 1
    ranked = sorted(range(len(trials)), key=lambda index: -sign * values[index])
    # a trial of an older version of the sweep file may lack one
    names = [n for n in varied(runs.entries) if all(n in trial.parameters for trial in trials)]
    metric = PREFIXES[options.protocol] + options.metric
    tests = [trial.metrics(options.row).get(metric) for trial in trials]
    head = [*names, runs.metric, f'test/{metric}']
    rows = [
        [
            *(_value(name, trials[i].parameters[name]) for name in names),
            number(values[i]), number(tests[i]),
        ]
        for i in ranked
    ]  # fmt: skip
    csv = out / f'{runs.name}.csv'
    frame = pd.DataFrame(
        [
            {
                'run': trials[i].run,
                **trials[i].parameters,
                runs.metric: values[i],
                head[-1]: tests[i],
            }
            for i in ranked
        ]
    )
    write_text(csv, frame.to_csv(index=False))
    made = provenance.record(runs)
    chosen_note = (
        f'Ranked by {runs.metric}; the test score of the {options.row} row stands beside and chose nothing. The '
        'best of many trials is a lucky one: run its values again over new seeds before you quote them.'
    )
    report = SweepReport(
        data={
            'sweep': runs.name, 'method': runs.method, 'metric': runs.metric, 'goal': runs.goal,
            'made_with': made, 'importance': importance, 'importance_by': method,
            'trials': [
                {
                    'run': trials[i].run, 'values': dict(trials[i].parameters),
                    'validation': values[i], 'test': tests[i],
                }
                for i in ranked
            ],
        },
        files=[csv],
    )  # fmt: skip
    titles = [parameter_title(name) for name in names]
    titles += [runs.metric, f'test {score_title(metric)}']
    parts = [
        f'## {markdown_escape(runs.name)}',
        f'Search ({runs.method}) over {", ".join(map(markdown_escape, titles[:-2]))}. '
        f'{provenance.counts_text(runs)}. The best {min(SHOWN, len(rows))}:',
        tabulate(
            rows[:SHOWN], [markdown_escape(title) for title in titles], tablefmt='pipe',
            colalign=['right'] * len(head), disable_numparse=True,
        ),
        f'- {chosen_note}',
    ]  # fmt: skip
    score = f'{runs.metric} (%)'
    parts += _plots(runs, trials, values, ranked[0], score, importance, method, names, out, report)
    missing = provenance.unfinished(runs)
    if missing:
        parts += ['### Failed trials', missing]
    parts += ['### How it was made', provenance.text(runs, made)]
    report.markdown = '\n\n'.join(parts)
    report.latex = _latex(runs, titles, rows[:SHOWN], chosen_note)
    return report


def _plots(
    runs: SweepRuns, trials: Sequence[Entry], values: Sequence[float], best: int, score: str,
    importance: Mapping[str, float] | None, method: str, names: Sequence[str], out: Path, report: SweepReport,
) -> list[str]:  # fmt: skip
    parts, plots = [], []
    if importance:
        files = draw_importance(importance, method, out / f'{runs.name}.importance')
        caption = (
            f'Share of each parameter in how good a trial is, by {method} on {len(trials)} trials.'
        )
        if len(trials) < FEWEST:
            caption += f' Fewer than {FEWEST} trials: do not read anything into it.'
        plots.append((files, 'Importance', caption))
    else:
        report.remarks.append(f'{runs.name}: no importances: {method or "none were computed"}')
    if names:
        found = [{name: trial.parameters[name] for name in names} for trial in trials]
        files = draw_slices(
            found, values, best, score, out / f'{runs.name}.slices', runs.logarithmic
        )
        caption = 'Every finished trial against each parameter by itself; pruned trials have no final score.'
        plots.append((files, 'Slices', caption))
    for files, title, caption in plots:
        report.files += files
        report.data.setdefault('plots', []).append(files[0].name)
        parts.append(f'### {title}\n\n![{title}]({files[0].name})\n\n{caption}')
    return parts


def _latex(runs: SweepRuns, titles: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    frame = pd.DataFrame(
        [[latex_escape(cell) for cell in row] for row in rows],
        columns=[latex_escape(title) for title in titles],
        dtype=str,
    )
    text = frame.to_latex(
        index=False, escape=False, column_format='r' * len(titles), position='t',
        caption=latex_escape(f'{runs.name}: the best trials'), label=f'tab:{runs.name}',
    )  # fmt: skip
    below = f'\\end{{tabular}}\n\\par\\footnotesize {latex_escape(note)}'
    return text.replace('\\end{tabular}', below)


def _value(name: str, value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f'{value:.4g}'
    return value_title(name, value)
