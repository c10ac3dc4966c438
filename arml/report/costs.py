"""The table of what methods cost, from what ``benchmark.py cost`` wrote."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from arml.errors import DataError
from arml.report.labels import config_title, markdown_escape
from arml.report.rows import ROLES

TEXTS = ('config', 'title', 'row', 'stage')
NUMBERS = ('parameters', 'flops', 'training_seconds', 'tiles_per_second', 'memory')
RANGES = ('training_range', 'tiles_range')
HEAD = (
    'method', 'config', 'result', 'parameters (M)', 'GFLOP a tile', 'training (min)', 'tiles/s', 'peak memory (MB)',
)  # fmt: skip


def load_costs(path: str | Path) -> dict[str, Any]:
    """Read what ``benchmark.py cost --out`` wrote.

    Raises:
        DataError: If the file is missing or is no such file.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise DataError(
            f'{path}: cannot be read ({error}); make it with benchmark.py cost --out'
        ) from error
    lines = content.get('costs') if isinstance(content, dict) else None
    if not isinstance(lines, list) or not lines:
        raise DataError(f'{path}: is not what benchmark.py cost --out writes: no list "costs"')
    for index, line in enumerate(lines):
        _check(line, f'{path}: costs[{index}]')
    for name in ('environment', 'settings'):
        if not isinstance(content.get(name) or {}, dict):
            raise DataError(f'{path}: "{name}" is {content[name]!r}, expected a mapping')
    return content


def _check(line: Any, where: str) -> None:
    if not isinstance(line, dict):
        raise DataError(f'{where}: found {line!r}, expected what a result costs')
    for name in TEXTS:
        if not isinstance(line.get(name), str):
            raise DataError(f'{where}: "{name}" is {line.get(name)!r}, expected a text')
    ends = []
    for name in RANGES:
        found = line.get(name)
        if found is not None and not (isinstance(found, list) and len(found) == 2):
            raise DataError(f'{where}: "{name}" is {found!r}, expected its two ends')
        ends += [(name, end) for end in found or ()]
    for name, value in [*((name, line.get(name)) for name in NUMBERS), *ends]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f'{where}: "{name}" is {value!r}, expected a number')


def cost_table(lines: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown, a line for each tested result."""
    rows = [
        [
            markdown_escape(line['title']),
            f'`{config_title(line["config"])}`',
            ROLES.get(line['stage'], line['row']),
            f'{line["parameters"] / 1e6:.2f}',
            f'{line["flops"] / 1e9:.2f}',
            _spread(line['training_seconds'], line.get('training_range'), 60, '.1f'),
            _spread(line['tiles_per_second'], line.get('tiles_range'), 1, '.0f'),
            f'{line["memory"]:.0f}',
        ]
        for line in lines
    ]
    align = (*['left'] * 3, *['right'] * (len(HEAD) - 3))
    return tabulate(rows, HEAD, tablefmt='pipe', colalign=align, disable_numparse=True)


def costs_section(content: Mapping[str, Any]) -> str:
    """The table with how it was measured, in Markdown."""
    made, settings = content.get('environment') or {}, content.get('settings') or {}
    where = made.get('gpu_used') or made.get('processor') or 'an unnamed processor'
    versions = made.get('versions') or {}
    return (
        '### What each costs\n\n'
        + cost_table(content['costs'])
        + '\n\n- Measured in one run, method after method, '
        + f'{settings.get("repeats")} times in turns: median (range). {where}, {made.get("threads")} threads, torch '
        + f'{versions.get("torch")}, commit {str(made.get("commit"))[:12]}.\n'
        '- Training: the time of a step, loading included, times the steps of the config, and the masks as a whole, '
        'of all stages that the result needs; validation and tests are not counted. Classifiers that methods share '
        'are counted for each of them, and parts of a model that join it in a later epoch from the first step on.\n'
        '- Parameters: of the tested model, all its networks, frozen ones too. GFLOP: products and convolutions of one '
        'tile at the size that enters the network, views included; a multiplication and an addition are two. '
        'Tiles/s: from preprocessed tiles to masks. Peak memory: of the largest training that the result needs, its '
        'weights included, on a CPU as on a GPU; without the program itself.\n\n'
        f'Made by `{content.get("command", "benchmark.py cost")}`.'
    )


def _spread(value: float, ends: Sequence[float] | None, unit: float, form: str) -> str:
    text = f'{value / unit:{form}}'
    if not ends or f'{ends[0] / unit:{form}}' == f'{ends[1] / unit:{form}}':
        return text
    return f'{text} ({ends[0] / unit:{form}} to {ends[1] / unit:{form}})'
