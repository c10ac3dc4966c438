"""Loading with augmentation: tiles per second per core, beside plain decoding and the training."""

from __future__ import annotations

import contextlib
import copy
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Subset

from arml.benchmark.harness import Bound, Harness, Report, Row, alternate, at_least, reporting
from arml.benchmark.networks import Variant, settings_of
from arml.benchmark.reference import decode
from arml.benchmark.stage1_step import classifier_step
from arml.benchmark.train_step import mutual_step
from arml.datasets.synthesis import write_dataset
from arml.errors import ConfigError
from arml.registry import DATASETS

#: Stages by the section of the config that trains them.
STAGES = {'1': 'classifier', '2': None}


def run(
    harness: Harness,
    config: str,
    cfg_options: dict[str, Any] | None = None,
    stages: str = '12',
    tiles: int = 256,
    draw: int = 0,
    draw_size: int = 224,
    step: bool = False,
) -> Report:
    """Measure the loaders of a config, in this process, with one thread.

    Args:
        harness: Rounds, device, threads (of the training step), seed.
        config: Config file; its ``data_root`` is read, unless ``draw``.
        cfg_options: Overrides of its leaves.
        stages: ``'1'``, ``'2'`` or ``'12'``.
        tiles: Tiles of a measurement; all of the split if it has fewer.
        draw: Draw so many synthetic tiles into a temporary folder and load these; 0: do not.
        draw_size: Side of drawn tiles in pixels.
        step: Also measure what the training takes: its step at the config's batch and size.

    Raises:
        ConfigError: If a number is too small or a stage unknown.
        DataError: If the tiles are not there.
    """
    at_least(1, tiles=tiles)
    at_least(0, draw=draw)
    if not stages or any(stage not in STAGES for stage in stages):
        raise ConfigError(f'--stages: found {stages!r}, expected 1, 2 or 12')
    options = {
        'config': config, 'cfg_options': cfg_options or {}, 'stages': stages, 'tiles': tiles,
        'draw': draw, 'draw_size': draw_size, 'step': step,
    }  # fmt: skip
    with reporting('dataloader', harness, **options) as report, _tiles(draw, draw_size) as drawn:
        for stage in dict.fromkeys(stages):
            settings = settings_of(config, cfg_options, STAGES[stage])
            if 'train_dataloader' not in settings:
                raise ConfigError(f'config {config}: stage {stage} has no train_dataloader')
            report.rows += _measure(stage, settings, drawn, tiles, step, harness, report)
        report.notes.append(
            'one process, one thread; files were read before, so that they are in memory; '
            'plain decoding is of the tile and, in stage 2, of its mask'
        )
    return report


@contextlib.contextmanager
def _tiles(draw: int, size: int) -> Iterator[str | None]:
    """A folder of drawn tiles for as long as it is needed; None without."""
    if not draw:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix='arml-benchmark-') as folder:
        root = Path(folder) / 'tiles'
        write_dataset(root, train=draw, val=1, test=1, size=size, say=lambda text: None)
        yield str(root)


def training_dataset(loader: dict[str, Any], drawn: str | None) -> Any:
    """The data set of a training loader, with dense masks where the pipeline makes them only later.

    Args:
        loader: Settings of the loader.
        drawn: Folder of synthetic tiles to be taken instead of the config's data, or None.
    """
    settings = copy.deepcopy(loader['dataset'])
    if drawn is not None:
        settings.update(type='arml.SyntheticTissueDataset', data_root=drawn)
    needs = any(part.get('type') == 'arml.LoadTissueMask' for part in settings['pipeline'])
    if needs and settings.get('masks') is None:
        settings['masks'] = 'dense'
    return DATASETS.build(settings)


def _measure(
    stage: str,
    settings: dict[str, Any],
    drawn: str | None,
    tiles: int,
    step: bool,
    harness: Harness,
    report: Report,
) -> list[Row]:
    dataset = training_dataset(settings['train_dataloader'], drawn)
    number = min(tiles, len(dataset))
    batch = min(int(settings['train_dataloader'].get('batch_size', 1)), number)
    files = [_files(dataset.get_data_info(index)) for index in range(number)]
    works: dict[str, Callable[[], object]] = {
        'loader': partial(_on_one_core, partial(load, dataset, number, batch)),
        'decoding': partial(_on_one_core, partial(decode, files)),
    }
    size = settings['input_size']
    if step:
        build = mutual_step if stage == '2' else partial(classifier_step, 'with')
        works['step'] = build(settings, Variant(), batch, size[0], harness.device)
    seconds = alternate(works, harness, f'dataloader, stage {stage}')
    ours = [number / value for value in seconds['loader']]
    kept = 'x'.join(map(str, size))
    rows = [
        Row(
            f'loader of stage {stage}, {kept} px, batch {batch}; reference: plain PNG decoding',
            'tiles/s/core', ours, [number / value for value in seconds['decoding']],
            'ours / reference',
        )
    ]  # fmt: skip
    workers = settings['train_dataloader'].get('num_workers', 0)
    if step:
        against = Row(
            f'loader of stage {stage} on one core; reference: the training step (all threads)',
            'tiles/s', ours, [batch / value for value in seconds['step']], 'ours / reference',
            Bound('>=', 1),
        )  # fmt: skip
        share = 100 / (1 + statistics.median(against.ratios))
        rows.append(
            replace(against, note=f'{share:.0f} % of the time if it loads in its own process')
        )
    report.notes.append(
        f'stage {stage}: {number} tiles of {dataset.data_root}, {workers} workers set'
    )
    return rows


def _files(info: dict[str, Any]) -> tuple[Path, Path | None]:
    mask = info.get('seg_map_path')
    return Path(info['img_path']), None if mask is None else Path(mask)


def load(dataset: Any, number: int, batch: int) -> int:
    """One pass over the first tiles as the training's loader does it; returns the number of tiles."""
    dataset.set_epoch(dataset.epoch + 1)  # other random numbers, as in a training
    loader = DataLoader(
        Subset(dataset, range(number)), batch_size=batch, collate_fn=pseudo_collate, num_workers=0
    )
    return sum(len(part['inputs']) for part in loader)


def _on_one_core(work: Callable[[], object]) -> object:
    """A work with one thread of torch and of OpenCV."""
    threads, opencv = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        return work()
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(opencv)
