"""What the tool for sweeps costs: the start of a cell, and a sweep of many short cells."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from arml.ablation import Ledger, Sweep, cells_of
from arml.ablation.live import View
from arml.ablation.process import environment_of, run_process, start_fresh, threads_of
from arml.ablation.queue import Work
from arml.ablation.run import How, run_sweep
from arml.ablation.warm import Warm
from arml.benchmark.harness import Harness, Report, Row, at_least, in_turns, reporting
from arml.datasets.synthesis import write_dataset
from arml.errors import ArmlError
from arml.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
#: Workers and starts of the sweeps that are measured.
WAYS = ((1, 'fresh'), (1, 'warm'), (2, 'fresh'), (2, 'warm'))


@dataclass(frozen=True)
class Place:
    """What is varied and where: cells that differ in lambda, on drawn tiles.

    Attributes:
        folder: Temporary.
        sweep: The grid.
        options: What all cells share; the store is each sweep's own.
    """

    folder: Path
    sweep: Sweep
    options: list[str]

    def fixed(self, store: Path) -> list[str]:
        """``KEY=VALUE`` for all cells, with a store."""
        return [*self.options, f'store={store}']


def run(
    harness: Harness,
    config: str,
    cells: int = 12,
    epochs: int = 1,
    draw: int = 24,
    draw_size: int = 224,
) -> Report:
    """Measure the start of a cell and its parts, and sweeps on one and two workers.

    The cells train a segmentor each; classifier and masks, which they share, are made before.

    Args:
        harness: Rounds.
        config: Config file of the cells, for synthetic tissue.
        cells: Cells of a sweep.
        epochs: Of each segmentor.
        draw: Training tiles to draw.
        draw_size: Their side in pixels.

    Raises:
        ConfigError: If a number is too small.
        ArmlError: If a cell fails.
    """
    at_least(1, cells=cells, epochs=epochs, draw=draw, draw_size=draw_size)
    sizes = {'cells': cells, 'epochs': epochs, 'draw': draw, 'draw_size': draw_size}
    with (
        reporting('sweep', harness, config=config, **sizes) as report,
        _place(config, **sizes) as place,
    ):
        base = place.folder / 'base'
        _sweep(place, base, 1, 'fresh', cells=1)  # what all cells share
        report.rows += _starts(place, base, harness)
        walls: dict = {way: [] for way in WAYS}
        owns: dict = {way: [] for way in WAYS}
        progress = Progress('sweep: measurements', len(WAYS) * harness.repeats)
        for turn, way in in_turns(WAYS, harness.repeats):
            store = place.folder / f'{turn}-{way[0]}-{way[1]}'
            shutil.copytree(base, store)
            wall, own = _sweep(place, store, *way)
            walls[way].append(wall)
            owns[way].append(own)
            shutil.rmtree(store)
            progress.add()
        for workers, start in WAYS:
            report.rows.append(
                Row(
                    f'sweep of {cells} cells, {workers} worker{"s" * (workers > 1)}, {start} start', 's',
                    walls[workers, start], owns[workers, start], 'ours / reference',
                    note=f'reference: the cells by their own clocks, from the plan to the result; '
                    f'{threads_of(workers)} threads each, {1 / workers:g} would be for nothing',
                )
            )  # fmt: skip
        medians = [statistics.median(own) / cells for own in owns.values()]
        report.notes.append(
            f'a cell takes {min(medians):.1f} to {max(medians):.1f} s by its own clock, start and exit not counted'
        )
    return report


@contextlib.contextmanager
def _place(config: str, cells: int, epochs: int, draw: int, draw_size: int) -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(
            folder / 'data', train=draw, val=4, test=4, size=draw_size, say=lambda text: None
        )
        values = [round((number + 1) / (cells + 1), 4) for number in range(cells)]
        sweep = Sweep(
            name='benchmark', path=folder / 'benchmark.yaml', config=Path(config),
            program=ROOT / 'tools' / 'train.py', parameters={'model.lambda_': values},
        )  # fmt: skip
        options = [
            f'data_root={folder / "data"}', f'train_cfg.max_epochs={epochs}',
            'classifier.train_cfg.max_epochs=1',
        ]  # fmt: skip
        yield Place(folder, sweep, options)


def _sweep(
    place: Place, store: Path, workers: int, start: str, cells: int | None = None
) -> tuple[float, float]:
    """Run the sweep; seconds on the wall's clock, and those of all cells on their own."""
    fixed = place.fixed(store)
    folder = place.folder / 'sweeps' / store.name
    found = cells_of(place.sweep, fixed)[:cells]
    ledger = Ledger(folder / 'ledger.jsonl')
    work = Work(place.sweep, ledger, folder, fixed, attempts=1)
    begun = time.perf_counter()
    missing = run_sweep(
        work,
        found,
        How(workers=workers, warm=start == 'warm'),
        View('benchmark', lambda text: None),
    )
    wall = time.perf_counter() - begun
    if missing:
        log = next(row['log'] for row in ledger.rows() if row['status'] == 'failed')
        raise ArmlError('a cell of the benchmark failed:\n' + '\n'.join(log))
    own = sum(_own(folder / cell.run) for cell in found)
    shutil.rmtree(folder)
    return wall, own


def _own(work: Path) -> float:
    """Seconds of a cell from its plan to its result, by the files that it writes there."""
    return (work / 'result.json').stat().st_mtime - (work / 'environment.json').stat().st_mtime


def _starts(place: Place, store: Path, harness: Harness) -> list[Row]:
    """The start of a cell, fresh and warm, step by step."""
    program = str(Path(__file__).with_name('cell_start.py'))
    options = [*place.fixed(store), 'model.lambda_=0.9999']  # a cell that is still to be run
    command = [program, str(place.sweep.config), *options]
    cell = cells_of(place.sweep, place.fixed(store))[0]
    environment = environment_of(place.sweep, cell, threads_of(1))
    warm = Warm(place.folder / 'warm.txt', environment)
    begun = time.perf_counter()
    warm.begin()
    warming = time.perf_counter() - begun
    steps: dict[str, dict[str, list[float]]] = {'fresh': {}, 'warm': {}}
    try:
        for turn in range(-harness.warmup, harness.repeats):
            for name, start in (('fresh', start_fresh), ('warm', warm.start)):
                found = _steps(command, place.folder / f'{name}.txt', environment, start)
                for step, seconds in found.items() if turn >= 0 else ():
                    steps[name].setdefault(step, []).append(seconds)
    finally:
        warm.close()
    rows = [
        Row(f'start of a cell: {step}', 's', steps['warm'][step], steps['fresh'][step], 'reference / ours')
        for step in steps['fresh']
    ]  # fmt: skip
    rows[-1] = Row(
        rows[-1].work, 's', rows[-1].ours, rows[-1].reference, 'reference / ours',
        note='ours: a fork of a warm process; reference: a new interpreter',
    )  # fmt: skip
    return [*rows, Row('a warm process, once for each worker', 's', [warming])]


def _steps(command, log: Path, environment, start) -> dict[str, float]:
    """Seconds of each step of a start, and of the whole."""
    log.unlink(missing_ok=True)
    begun = time.time()
    status = run_process(command, log, environment, threading.Event(), start=start)
    lines = log.read_text().splitlines()
    if status != 0:
        raise ArmlError('the start of a cell failed:\n' + '\n'.join(lines[-20:]))
    ends = json.loads(lines[-1])
    found, last = {}, begun
    for name, end in ends:
        found[name], last = end - last, end
    found['whole'] = last - begun
    return found
