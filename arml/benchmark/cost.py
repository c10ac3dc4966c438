"""What methods cost, measured in one run: parameters, operations, time of training and inference, memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arml.ablation.values import as_options
from arml.benchmark.harness import Harness, Report, in_turns, reporting
from arml.config import load_config
from arml.errors import ArmlError
from arml.progress import Progress
from arml.report.costs import cost_table

PROGRAM = Path(__file__).with_name('cost_run.py')


@dataclass
class CostReport(Report):
    """Costs by config.

    Attributes:
        costs: For each tested result of a config a line of :func:`arml.report.costs.cost_table`.
    """

    costs: Sequence[dict[str, Any]] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**super().as_dict(), 'costs': list(self.costs)}

    def table(self) -> str:
        """As a Markdown table, with the machine below it."""
        machine = super().table().splitlines()[3:]
        return '\n'.join([cost_table(self.costs), '', *machine])


def run(
    harness: Harness, configs: Sequence[str], cfg_options: dict[str, Any] | None = None
) -> CostReport:
    """Run the stages of configs briefly, in turns, each in a process of its own.

    Args:
        harness: Rounds, threads and device; the rest of it does not apply.
        configs: Config files.
        cfg_options: Overrides of all of them.

    Raises:
        ConfigError: If a config is wrong.
        ArmlError: If a run fails.
    """
    for config in configs:
        load_config(config, cfg_options, for_run=True)
    settings = {'configs': list(configs), 'cfg_options': cfg_options or {}}
    with reporting('cost', harness, **settings) as plain:
        found: dict[str, list[dict[str, Any]]] = {config: [] for config in configs}
        progress = Progress('cost: runs', len(configs) * harness.repeats)
        for _, config in in_turns(configs, harness.repeats):
            found[config].append(_run(config, cfg_options or {}, harness))
            progress.add()
    lines = [line for config, rounds in found.items() for line in _lines(config, rounds)]
    return CostReport(**{**vars(plain), 'costs': lines})


def _run(config: str, options: dict[str, Any], harness: Harness) -> dict[str, Any]:
    given = {'OMP_NUM_THREADS': str(harness.threads)} if harness.threads else {}
    if harness.device.type == 'cpu':
        given['CUDA_VISIBLE_DEVICES'] = ''
    elif harness.device.index is not None:
        given['CUDA_VISIBLE_DEVICES'] = _visible(harness.device.index)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), config, *as_options(options)],
        env={**os.environ, **given}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ArmlError(f'{config}: its run failed:\n' + '\n'.join(done.stderr.splitlines()[-20:]))
    return json.loads(done.stdout.splitlines()[-1])


def _visible(index: int) -> str:
    """Name of a GPU for a process that is to see no other one: the machine's, not this process's."""
    names = [name for name in os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',') if name.strip()]
    return names[index].strip() if names else str(index)


def _lines(config: str, rounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each tested result: medians and ranges over the rounds."""
    lines = []
    for index, result in enumerate(rounds[0]['results']):
        each = [one['results'][index] for one in rounds]
        totals = [sum(one['training'].values()) for one in each]
        speeds = [1 / one['seconds'] for one in each]
        lines.append(
            {
                'config': config, 'title': rounds[0]['title'] or Path(config).stem, 'row': result['row'],
                'stage': result['stage'],
                'parameters': result['parameters'], 'flops': result['flops'],
                'training_seconds': statistics.median(totals), 'training_range': [min(totals), max(totals)],
                'tiles_per_second': statistics.median(speeds), 'tiles_range': [min(speeds), max(speeds)],
                'memory': statistics.median(one['memory'] for one in each), 'stages': result['training'],
            }
        )  # fmt: skip
    return lines
