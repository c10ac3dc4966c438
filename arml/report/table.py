"""The table at the end of a run, like the paper's: rows of scores, one block per protocol."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from arml.report.result import MEANS, check_result

PREFIXES = {'A': '', 'B': 'B.'}
TITLES = {
    'A': 'Protocol A (background dropped)',
    'B': 'Protocol B (background counts)',
}
HEADERS = {'mDice': 'Dice'}


def number(value: float | None, digits: int = 2) -> str:
    """A score for a reader: fixed decimals; a dash where there is none."""
    return '–' if value is None or math.isnan(value) else f'{value:.{digits}f}'


def columns(classes: Sequence[str]) -> list[str]:
    """Names of the scores in a table: IoU per class, then the means."""
    return [*(f'IoU.{name}' for name in classes), *MEANS]


def header(classes: Sequence[str]) -> list[str]:
    """Titles of :func:`columns`: the class alone stands for its IoU."""
    return [*classes, *(HEADERS.get(name, name) for name in MEANS)]


def rows_of(result: Mapping[str, Any], protocol: str) -> list[Mapping[str, Any]]:
    """The rows of a result that have scores under a protocol."""
    key = f'{PREFIXES[protocol]}mIoU'
    return [row for row in result['rows'] if key in row['metrics']]


def _block(result: Mapping[str, Any], protocol: str) -> tuple[list[str], list[list[str]]] | None:
    rows = rows_of(result, protocol)
    if not rows:
        return None
    several_splits = len({row.get('split') for row in result['rows']}) > 1
    cells = []
    for row in rows:
        lead = [row['name'], row.get('split') or '–'] if several_splits else [row['name']]
        scores = [row['metrics'].get(PREFIXES[protocol] + c) for c in columns(result['classes'])]
        cells.append(lead + [number(score) for score in scores])
    lead = ['', 'split'] if several_splits else ['']
    return lead + header(result['classes']), cells


def _render(result: Mapping[str, Any], style: str, title: str) -> str:
    check_result(result)
    parts = []
    for protocol in PREFIXES:
        block = _block(result, protocol)
        if block is not None:
            head, cells = block
            left = ('left',) * (len(head) - len(header(result['classes'])))
            align = left + ('right',) * (len(head) - len(left))
            text = tabulate(
                cells, headers=head, tablefmt=style, colalign=align, disable_numparse=True
            )
            parts.append(title.format(TITLES[protocol]) + '\n\n' + text)
    return '\n\n'.join(parts)


def markdown_table(result: Mapping[str, Any]) -> str:
    """A result as Markdown: IoU per class, mIoU, Dice and ACC in percent.

    Args:
        result: Content of ``result.json``.

    Returns:
        A block for protocol A and, where a row has it, one for protocol B.

    Raises:
        DataError: If the result lacks what a table needs.
    """
    return _render(result, 'pipe', '**{}**, IoU per class, percent')


def text_table(result: Mapping[str, Any]) -> str:
    """The same as :func:`markdown_table` for a terminal.

    Raises:
        DataError: If the result lacks what a table needs.
    """
    return _render(result, 'simple', '{}, IoU per class, percent')
