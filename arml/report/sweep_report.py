"""The report on several sweeps: Markdown, LaTeX, JSON and one HTML page, beside plots and CSV files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from arml.atomic import write_json, write_text
from arml.errors import ConfigError, DataError
from arml.report.comparators import BEST_OTHER
from arml.report.costs import costs_section, load_costs
from arml.report.grid_report import SweepReport, grid_report, lines_of
from arml.report.labels import config_title
from arml.report.options import ReportOptions
from arml.report.page import html_page
from arml.report.search_report import search_report
from arml.report.sweep_cells import SweepRuns, find_group

LATEX_HEAD = (
    '% Needs \\usepackage{booktabs}. Written by tools/report.py; change the sweep, not this file.\n'
)

Importance = Callable[[SweepRuns], tuple[dict[str, float] | None, str]]


def write_report(
    sweeps: Sequence[SweepRuns], options: ReportOptions, out: Path, command: str, importance: Importance
) -> list[SweepReport]:  # fmt: skip
    """Write ``report.md``, ``report.html``, ``report.json`` and ``tables.tex`` into a folder.

    Args:
        sweeps: What is known of each sweep.
        options: How they are read.
        out: The folder; made if missing.
        command: The command line, which stands in the report.
        importance: Gives the importances of a search's parameters and the method, or None and why not.

    Returns:
        The parts, in the order of the sweeps.

    Raises:
        ConfigError: If a comparator is a line of no sweep, two are lines of one, or a score is unknown.
        DataError: If a sweep has no finished cell or cells that cannot be put together.
        ArmlError: If a file cannot be written.
    """
    names = [runs.name for runs in sweeps]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f'found {names.count(name)} sweeps named {name}; give each once')
    check_comparators(sweeps, options)
    costs = load_costs(options.costs) if options.costs else None
    if costs is not None:
        check_costs(costs, sweeps, options)
    parts = [_part(runs, options, out, importance) for runs in sweeps]
    title = 'Report on ' + ', '.join(names)
    text = f'# {title}\n\n' + '\n\n'.join(part.markdown for part in parts)
    if costs is not None:
        text += '\n\n' + costs_section(costs)
    text += f'\n\nWritten by `{command}`.\n'
    write_text(out / 'report.md', text)
    write_text(out / 'tables.tex', LATEX_HEAD + '\n' + '\n'.join(part.latex for part in parts))
    data: dict[str, Any] = {
        'command': command,
        'options': vars(options),
        'sweeps': [part.data for part in parts],
        'costs': costs and costs['costs'],
    }
    write_json(out / 'report.json', data)
    write_text(out / 'report.html', html_page(title, text, out))
    return parts


def check_costs(
    costs: Mapping[str, Any], sweeps: Sequence[SweepRuns], options: ReportOptions
) -> None:  # fmt: skip
    """Refuse costs of which none is of a config that the sweeps ran.

    Raises:
        DataError: If so; names both.
    """
    ran = {
        config_title(entry.row['config_file'])
        for runs in sweeps
        for entry in runs.finished
        if entry.row.get('config_file')
    }
    measured = {config_title(line['config']) for line in costs['costs']}
    if ran and not ran & measured:
        raise DataError(
            f'{options.costs}: its costs are of {", ".join(sorted(measured))}; the sweeps ran '
            f'{", ".join(sorted(ran))}. Measure those: benchmark.py cost'
        )


def check_comparators(sweeps: Sequence[SweepRuns], options: ReportOptions) -> None:
    """Refuse a comparator that is no line of any sweep.

    Raises:
        ConfigError: If so; names the lines that there are.
    """
    grids = [lines_of(runs, options)[0] for runs in sweeps if runs.method == 'grid']
    for text in options.comparators:
        if text != BEST_OTHER and not any(find_group(groups, text) for groups in grids):
            lines = '; '.join(
                ', '.join(','.join(f'{k}={v}' for k, v in group.values.items()) for group in groups)
                for groups in grids
            )
            raise ConfigError(
                f'--comparator: found {text!r}, expected one line of a sweep: its value, or KEY=VALUE with commas '
                f'between; or {BEST_OTHER}. There are {lines or "no grids"}'
            )


def _part(
    runs: SweepRuns, options: ReportOptions, out: Path, importance: Importance
) -> SweepReport:
    if runs.method == 'grid':
        return grid_report(runs, options, out)
    return search_report(runs, options, out, *importance(runs))
