"""What the trackers of a run are told by its pipeline."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from arml.pipeline.store import Product
from arml.tracking import RunInfo

WANDB = 'arml.WandbVisBackend'


def run_info(
    config: Config, folder: Path, record: Mapping[str, Any], overrides: Mapping[str, Any] | None
) -> RunInfo:
    """A run as its trackers know it.

    Args:
        config: The resolved config.
        folder: The work dir.
        record: Name, key, seed, commit and versions of the run.
        overrides: What the user set beside the config file, a column each.
    """
    settings = {
        'config': record['name'], 'cell': record['run'], 'seed': record['seed'],
        'commit': record['commit'], 'versions': record['versions'], 'data_root': config.get('data_root'),
        **(overrides or {}),
    }  # fmt: skip
    files = (folder / 'config.py', folder / 'environment.json')
    return RunInfo(folder, record['run'], f'{record["name"]}-{record["run"]}', settings, files)


def track_under_agent(config: Config, overrides: Mapping[str, Any] | None) -> None:
    """Have a training that a W&B agent started report to W&B, which waits for its metric; in place.

    An override of ``tracking`` wins.
    """
    visualizer = config.get('visualizer')
    if not os.environ.get('WANDB_SWEEP_ID') or 'tracking' in (overrides or {}) or not visualizer:
        return
    backends = backends_of(config)
    if not any(backend['type'] == WANDB for backend in backends):
        visualizer['vis_backends'] = [*backends, {'type': WANDB}]


def backends_of(config: Config) -> list[dict[str, Any]]:
    """The backends of a config's visualizer."""
    visualizer = config.get('visualizer')
    return list((visualizer or {}).get('vis_backends') or [])


def history_of(product: Product) -> Path | None:
    """The history of a training's product."""
    return product.path('history') if 'history' in product.record['items'] else None
