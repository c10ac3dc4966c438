"""Ratios that can be trusted on a machine that is not quiet: works are measured in turns.

A round measures every work once, the order rotating from round to round, so that whatever else the
machine does falls on all of them alike. A ratio is that of one round; its median and its range over
the rounds are what is reported. Absolute times are shown beside it and are those of this machine.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from arml.engine.allocator import keep_freed_memory
from arml.errors import ConfigError
from arml.pipeline.environment import describe
from arml.progress import Progress

#: Bytes of one MB in tables.
MB = 2**20


@dataclass(frozen=True)
class Harness:
    """How works are measured.

    Args:
        device: Where the networks run.
        repeats: Rounds, >= 1.
        warmup: Calls of every work before the first round, >= 0.
        least_seconds: A measurement calls its work as often as it takes to last about this long, as
            the last warm-up call suggests; without warm-up once.
        memory_repeats: Measurements of each peak of memory, >= 1.
        threads: Threads of torch, >= 1; None: as it is set.
        tf32: Whether a GPU may round products and convolutions of float32 to TF32.
        seed: Of all random numbers.

    Raises:
        ConfigError: If a number is below its least value.
    """

    device: torch.device = torch.device('cpu')
    repeats: int = 7
    warmup: int = 1
    least_seconds: float = 0.2
    memory_repeats: int = 3
    threads: int | None = None
    tf32: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, repeats=self.repeats, memory_repeats=self.memory_repeats)
        at_least(0, warmup=self.warmup, least_seconds=self.least_seconds, seed=self.seed)
        if self.threads is not None:
            at_least(1, threads=self.threads)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Threads, precision and seed inside the block; as they were after it.

        On a CPU freed memory is kept from then on, as a training keeps it.
        """
        if self.device.type == 'cpu':
            keep_freed_memory()
        threads = torch.get_num_threads()
        matmul, convolution = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        try:
            torch.set_num_threads(self.threads or threads)
            torch.set_float32_matmul_precision('high' if self.tf32 else 'highest')
            torch.backends.cudnn.allow_tf32 = self.tf32
            torch.manual_seed(self.seed)
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_float32_matmul_precision(matmul)
            torch.backends.cudnn.allow_tf32 = convolution


def at_least(least: float, **numbers: float) -> None:
    """Refuse numbers below a least value.

    Raises:
        ConfigError: Names the option.
    """
    for name, value in numbers.items():
        if not value >= least:
            raise ConfigError(
                f'--{name.replace("_", "-")}: found {value}, expected at least {least}'
            )


def synchronise(device: torch.device) -> None:
    """Wait for what a GPU has still to do."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def alternate(
    works: Mapping[str, Callable[[], object]], harness: Harness, what: str
) -> dict[str, list[float]]:
    """Seconds a call of each work, one number a round.

    Args:
        works: By name. What a call returns is dropped before the next measurement.
        harness: Rounds, warm-up and device.
        what: Name of the whole, for the progress on standard error.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    with _no_collection():
        calls = {name: _warm_up(work, harness) for name, work in works.items()}
        progress = Progress(f'{what}: measurements', len(works) * harness.repeats)
        for _, name in in_turns(names, harness.repeats):
            seconds[name].append(_measure(works[name], calls[name], harness))
            progress.add()
    return seconds


def in_turns(works: Sequence[Any], rounds: int) -> Iterator[tuple[int, Any]]:
    """Each work once a round, with the round's number; the order rotates from round to round."""
    for turn in range(rounds):
        first = turn % len(works)
        for work in (*works[first:], *works[:first]):
            yield turn, work


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage is collected between measurements only, and quickly: what is there now is no garbage."""
    enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def _warm_up(work: Callable[[], object], harness: Harness) -> int:
    """Calls of a work that one measurement takes."""
    last = math.inf
    for _ in range(harness.warmup):
        last = _measure(work, 1, harness)
    return max(1, math.ceil(harness.least_seconds / max(last, 1e-6)))


def _measure(work: Callable[[], object], calls: int, harness: Harness) -> float:
    gc.collect()
    synchronise(harness.device)
    start = time.perf_counter()
    for _ in range(calls):
        work()
    synchronise(harness.device)
    return (time.perf_counter() - start) / calls


@dataclass(frozen=True)
class Bound:
    """What a row must reach.

    Attributes:
        relation: ``'>='`` or ``'<='``.
        value: The bound.
        of: ``'ratio'`` or ``'ours'``: whose median is compared.
    """

    relation: str
    value: float
    of: str = 'ratio'


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        work: What was done.
        unit: Of ``ours`` and ``reference``: ``s``, ``MB``, ``tiles/s``, ``relative error``, ...
        ours: One value a round.
        reference: Likewise; empty if there is none.
        ratio_is: How a round's ratio is made: ``'reference / ours'`` or ``'ours / reference'``; None
            for no ratio.
        bound: What must be reached, if anything.
        note: What else is to be known.
    """

    work: str
    unit: str
    ours: Sequence[float]
    reference: Sequence[float] = ()
    ratio_is: str | None = None
    bound: Bound | None = None
    note: str = ''

    @property
    def ratios(self) -> list[float]:
        """The ratio of every round."""
        if self.ratio_is is None:
            return []
        ours_first = self.ratio_is == 'ours / reference'
        pairs = zip(self.ours, self.reference, strict=True)
        return [_quotient(*(pair if ours_first else pair[::-1])) for pair in pairs]

    @property
    def reached(self) -> bool | None:
        """Whether the median is within the bound; None without one."""
        if self.bound is None:
            return None
        found = statistics.median(self.ratios if self.bound.of == 'ratio' else self.ours)
        bound = self.bound.value
        return found >= bound if self.bound.relation == '>=' else found <= bound

    def as_dict(self) -> dict[str, Any]:
        """For JSON: medians, ranges and all values."""
        ratio = summary(self.ratios)
        return {
            'work': self.work,
            'unit': self.unit,
            'ours': summary(self.ours),
            'reference': summary(self.reference),
            'ratio': None if ratio is None else {'is': self.ratio_is, **ratio},
            'bound': None if self.bound is None else asdict(self.bound),
            'reached': self.reached,
            'note': self.note,
        }


def _quotient(above: float, below: float) -> float:
    return above / below if below else math.inf if above else math.nan


def summary(values: Sequence[float]) -> dict[str, Any] | None:
    """Median, least, largest and all values; None of nothing."""
    if not values:
        return None
    return {
        'median': statistics.median(values),
        'min': min(values),
        'max': max(values),
        'values': list(values),
    }


@dataclass
class Report:
    """The rows of one benchmark and what they were measured with.

    Attributes:
        benchmark: Its name.
        settings: Sizes and options.
        rows: The table.
        notes: Sentences below the table.
        environment: Versions, commit, machine.
    """

    benchmark: str
    settings: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            'benchmark': self.benchmark,
            'command': shlex.join(sys.argv),
            'settings': self.settings,
            'environment': self.environment,
            'rows': [row.as_dict() for row in self.rows],
            'notes': self.notes,
        }

    def table(self) -> str:
        """As a Markdown table whose columns are aligned, with the machine and the notes below it."""
        head = ('work', 'ours', 'reference', 'ratio (median, min-max)', 'bound', 'reached')
        cells = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
        lines = [
            '| ' + ' | '.join(text.ljust(w) for text, w in zip(row, widths, strict=True)) + ' |'
            for row in cells
        ]
        lines.insert(1, '| ' + ' | '.join('-' * width for width in widths) + ' |')
        found = self.environment
        machine = [
            f'{found[key]} {word}'
            for key, word in (('cpus', 'cores'), ('threads', 'threads'))
            if key in found
        ]
        machine.append(str(found.get('gpu_used') or found.get('processor') or ''))
        machine.append(f'torch {found.get("versions", {}).get("torch")}')
        machine.append(f'load {found.get("load_before")} to {found.get("load_after")}')
        commit, dirty, _ = str(found.get('commit')).partition('-dirty')
        machine.append(f'commit {commit[:12]}{dirty}')
        notes = [f'{row.work}: {row.note}' for row in self.rows if row.note]
        return '\n'.join([*lines, '', ', '.join(filter(None, machine)), *notes, *self.notes])


def _cells(row: Row) -> tuple[str, ...]:
    ratios = summary(row.ratios)
    ratio = '-'
    if ratios is not None:
        low, high = number(ratios['min']), number(ratios['max'])
        which = row.ratio_is.replace('reference', 'ref').replace(' ', '')
        ratio = f'{number(ratios["median"])} ({low}-{high}) {which}'
    bound = '-'
    if row.bound is not None:
        bound = f'{row.bound.relation} {number(row.bound.value)}'
    reached = {None: '-', True: 'yes', False: 'NO'}[row.reached]
    unit = '' if row.unit == 'relative error' else f' {row.unit}'
    return (
        row.work,
        *(
            f'{number(statistics.median(values))}{unit}' if values else '-'
            for values in (row.ours, row.reference)
        ),
        ratio,
        bound,
        reached,
    )


def number(value: float) -> str:
    """Four digits, three of a small number."""
    if value == 0 or not math.isfinite(value):
        return f'{value:g}'
    if abs(value) < 1e-3 or abs(value) >= 1e6:
        return f'{value:.2e}'
    digits = max(0, 3 - int(math.floor(math.log10(abs(value)))))
    text = f'{value:.{digits}f}'
    return text.rstrip('0').rstrip('.') if '.' in text else text


@contextlib.contextmanager
def reporting(benchmark: str, harness: Harness, **settings: Any) -> Iterator[Report]:
    """A report to be filled under the settings of a harness, with the machine noted around it.

    Args:
        benchmark: Its name.
        harness: Applied inside the block.
        **settings: Sizes and options, for the record.
    """
    report = Report(benchmark, {**_plain(asdict(harness)), **_plain(settings)})
    with harness.applied():
        on_gpu = harness.device.type == 'cuda'
        report.environment = {
            **describe(),
            'device': str(harness.device),
            'gpu_used': torch.cuda.get_device_name(harness.device) if on_gpu else None,
            'load_before': _load(),
        }
        yield report
    report.environment['load_after'] = _load()


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    simple = (bool, int, float, str, type(None), list, tuple, dict)
    return {k: v if isinstance(v, simple) else str(v) for k, v in settings.items()}


def _load() -> float:
    """Processes that wanted to run in the last minute, this one included."""
    return round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else math.nan
