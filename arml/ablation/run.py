"""Run the cells of a sweep that its ledger lacks, each as a process of its own."""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from arml.ablation.grid import SEED, Sweep
from arml.ablation.ledger import Ledger
from arml.config import load_config
from arml.pipeline.keys import digest
from arml.pipeline.run import build_stages, make_plan
from arml.pipeline.store import Store
from arml.progress import duration

#: Lines of its log that a failed cell leaves in the ledger.
LAST_LINES = 20


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        parameters: Values by dotted path.
        run: Key of the run: a hash of all that determines its result.
    """

    parameters: dict[str, Any]
    run: str

    @property
    def options(self) -> list[str]:
        """What goes behind ``--cfg-options``."""
        return [f'{name}={value}' for name, value in self.parameters.items()]

    @property
    def title(self) -> str:
        """Its values in one line."""
        return ', '.join(f'{name}={value}' for name, value in self.parameters.items())


def cells_of(sweep: Sweep, fixed: Sequence[str] = ()) -> list[Cell]:
    """The cells of a sweep; equal ones are one.

    Args:
        sweep: The grid.
        fixed: Further ``KEY=VALUE`` for all cells, for example the place of the data.

    Raises:
        ConfigError: If a parameter is no leaf of the config, or a value cannot be used.
    """
    cells: dict[str, Cell] = {}
    for parameters in sweep.cells():
        cell = Cell(parameters, '')
        config = load_config(sweep.config, _parsed([*cell.options, *fixed]), for_run=True)
        plan = make_plan(build_stages(config), Store(config.store))
        run = digest([item.key for item in plan], 8)
        cells.setdefault(run, Cell(parameters, run))
    return list(cells.values())


def run_cells(
    sweep: Sweep,
    cells: Sequence[Cell],
    ledger: Ledger,
    folder: Path,
    workers: int = 1,
    attempts: int = 2,
    fixed: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> list[Cell]:
    """Run what the ledger lacks; a cell that fails is tried again from its last checkpoint.

    Args:
        sweep: The grid.
        cells: Those of :func:`cells_of`.
        ledger: Where results go.
        folder: Work dirs and logs of the cells.
        workers: Processes at a time; the machine's threads are shared among them.
        attempts: Tries of a cell in this call.
        fixed: As of :func:`cells_of`.
        say: Takes each line of progress.

    Returns:
        The cells that failed.
    """
    done = ledger.finished()
    todo = [cell for cell in cells if cell.run not in done]
    say(f'{sweep.name}: {len(cells)} cells, {len(cells) - len(todo)} finished, {len(todo)} to run')
    failed: list[Cell] = []
    began, count = time.time(), 0
    lock, stop = threading.Lock(), threading.Event()

    def work(cell: Cell) -> None:
        nonlocal count
        for attempt in range(attempts):
            if stop.is_set():
                return
            row = _run_one(sweep, cell, folder, workers, fixed, stop)
            if row['status'] == 'finished' or attempt == attempts - 1 or stop.is_set():
                break
        if stop.is_set() and row['status'] != 'finished':
            return
        with lock:
            ledger.add(row)
            count += 1
            if row['status'] != 'finished':
                failed.append(cell)
            left = (time.time() - began) / count * (len(todo) - count)
            say(
                f'[{len(cells) - len(todo) + count}/{len(cells)}] {cell.run} {row["status"]}: {cell.title} '
                f'({duration(row["seconds"])}; about {duration(left)} left)'
            )

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, cell) for cell in todo]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return failed


def _run_one(
    sweep: Sweep,
    cell: Cell,
    folder: Path,
    workers: int,
    fixed: Sequence[str],
    stop: threading.Event,
) -> dict[str, Any]:
    """One process; its row of the ledger."""
    work = folder / cell.run
    work.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, 'tools/train.py', str(sweep.config), '--resume', '--work-dir', str(work),
        '--cfg-options', *cell.options, *fixed,
    ]  # fmt: skip
    threads = max((os.cpu_count() or 1) // workers, 1)
    began = time.time()
    with (work / 'log.txt').open('a', encoding='utf-8') as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT,
            env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
        )  # fmt: skip
        while process.poll() is None:
            if stop.wait(0.2):
                process.terminate()
                process.wait()
    row = {
        'sweep': sweep.name,
        'config': sweep.config.stem,
        'run': cell.run,
        'parameters': cell.parameters,
        'seed': cell.parameters.get(SEED),
        'finished_at': time.strftime('%Y-%m-%dT%H:%M:%S%z'),
        'seconds': round(time.time() - began, 1),
    }
    result = work / 'result.json'
    if process.returncode == 0 and result.is_file():
        found = json.loads(result.read_text(encoding='utf-8'))
        kept = (
            'seed',
            'commit',
            'versions',
            'machine',
            'threads',
            'gpu',
            'dataset',
            'data',
            'rows',
        )
        return {**row, 'status': 'finished', **{key: found[key] for key in kept}}
    lines = (work / 'log.txt').read_text(encoding='utf-8', errors='replace').splitlines()
    return {**row, 'status': 'failed', 'exit': process.returncode, 'log': lines[-LAST_LINES:]}


def _parsed(options: Sequence[str]) -> dict[str, Any]:
    """Options as ``tools/train.py`` reads them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='*', action=DictAction, default={})
    return parser.parse_args(['--cfg-options', *options]).cfg_options
