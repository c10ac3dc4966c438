"""Workers and trainings, killed again and again: in the end each cell is there once, as undisturbed.

Trainings take most of the time, so most random moments are in one. What a worker does before and after them takes
milliseconds: it is killed there at named points.
"""

import contextlib
import random
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import doom
import pytest
from conftest import ROOT
from prepared import workers
from sweep_place import Place, cell, kill
from tiny_run import QUICK

from arml.ablation import Sweep, cells_of

#: Who is killed in a training: its worker, with which it dies, it alone, the process that it was forked from.
VICTIMS = {'worker': 12, 'training': 3, 'warm': 1}
#: Workers that are killed some time after their start, whatever they are about by then.
BY_CLOCK = 8
#: Trainings that are spared, so that the kills are spread over the sweep.
SPARED = 3
#: Of an undisturbed cell's time, how long a victim may live at most once its training is there.
REPRIEVE = 0.4
#: Seconds that this is at most: the machine may have been slow when the undisturbed cells ran.
LONGEST = 2.0

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='children are looked up in /proc')


def descendants(pid: int) -> list[list[int]]:
    """Children, grandchildren, ... of a process."""
    generations, parents = [], [pid]
    while parents:
        found = []
        for parent in parents:
            with contextlib.suppress(OSError):  # it is gone
                for task in Path(f'/proc/{parent}/task').iterdir():
                    found += [int(word) for word in (task / 'children').read_text().split()]
        parents = found
        generations.append(found)
    return generations[:-1]


class Reaper:
    """Deals a fate to each training of each worker.

    Args:
        deck: Kinds of victims, and None for a training that is spared; what has happened is taken out.
        dice: Draws the moments.
        patience: Seconds that a victim is left at most; less once one was faster.
    """

    def __init__(self, deck: list[str | None], dice: random.Random, patience: float) -> None:
        self._deck, self._dice, self._patience = deck, dice, patience
        self._fates: dict[int, tuple[int | None, str | None, float]] = {}

    def look(self, seat: int, worker: int) -> str | None:
        """Whom it has killed now of the worker on a seat; None for nobody."""
        warm, trainings = [*descendants(worker), [], []][:2]
        found = trainings[0] if trainings else None
        training, fate, moment = self._fates.get(seat, (None, None, 0))
        if found != training:
            if (
                fate is not None
            ):  # it was faster: the next ones have less time, and fewer are spared
                self._deck.insert(0, fate)
                self._patience *= 0.5
                if None in self._deck:
                    self._deck.remove(None)
            fate = self._deck.pop() if found and self._deck else None
            moment = time.monotonic() + self._dice.uniform(0, self._patience)
            self._fates[seat] = found, fate, moment
        if fate is None or time.monotonic() < moment:
            return None
        if not kill({'worker': worker, 'training': found, 'warm': warm[0]}[fate]):
            return None  # it has just ended
        self._fates[seat] = found, None, 0
        return fate


def test_sweep__killed_at_random_moments_ends_as_undisturbed(tmp_path, fake_tissue, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    sweep = Sweep(
        name='faults', path=Path('faults.yaml'), config=ROOT / 'tests' / 'conf' / 'short.py',
        program=ROOT / 'tools' / 'train.py',
        parameters={
            **{name: [value] for name, value in QUICK.items()}, 'model.swv.omega': [1, 2, 3],
            'randomness.seed': [0, 1],
        },
    )  # fmt: skip

    def at(name):
        place = Place(tmp_path / name, 'faults')
        place.sweep = sweep
        fixed = [f'data_root={fake_tissue}', f'store={tmp_path / name / "store"}']
        return place, cells_of(sweep, fixed), {'fixed': fixed, 'warm': True}

    def logs(place):
        return {run.name: (run / 'log.txt').read_text() for run in place.folder.glob('*/')}

    calm, cells, options = at('calm')
    assert calm.run(*cells, workers=2, **options) == []
    expected = {row['run']: row['rows'] for row in calm.ledger.rows()}
    assert len(expected) == 6
    assert len({str(rows) for rows in expected.values()}) == 6  # or equality would show nothing
    assert ''.join(logs(calm).values()).count('classifier: begins in') == 2  # one a seed
    patience = min(REPRIEVE * min(row['seconds'] for row in calm.ledger.rows()), LONGEST)

    dice = random.Random(4)
    deck = [*Counter(VICTIMS).elements(), *[None] * SPARED]
    dice.shuffle(deck)
    place, cells, options = at('disturbed')
    options['attempts'] = 1000
    killed: Counter[str | None] = Counter()
    clocks = [*[True] * BY_CLOCK, *[False] * SPARED]
    dice.shuffle(clocks)
    with workers(monkeypatch) as start:

        def begin():
            lives = dice.uniform(0, patience) if clocks and clocks.pop() else None
            worker = start(place.folder.parent, sweep, cells, options)
            return worker, None if lives is None else time.monotonic() + lives

        running = [begin() for _ in range(2)]
        reaper = Reaper(deck, dice, patience)
        end = time.monotonic() + 600
        while any(worker.is_alive() for worker, _ in running):
            assert time.monotonic() < end, place.ledger.rows()
            time.sleep(0.02)
            for number, (worker, moment) in enumerate(running):
                if worker.exitcode == -signal.SIGKILL:
                    killed['by the clock'] += moment is not None
                    running[number] = begin()
                elif moment is not None and time.monotonic() > moment:
                    kill(worker.pid)
                elif moment is None and worker.is_alive():
                    killed[reaper.look(number, worker.pid)] += 1
        # None has ended by what befell another.
        assert [worker.exitcode for worker, _ in running] == [0, 0]
    del killed[None]
    assert killed == {**VICTIMS, 'by the clock': BY_CLOCK}  # all of them in this one sweep

    rows = place.ledger.rows()
    finished = [row for row in rows if row['status'] == 'finished']
    assert sorted(row['run'] for row in finished) == sorted(expected)
    assert {row['run']: row['rows'] for row in finished} == expected
    for run, log in logs(
        place
    ).items():  # a start for each failure and one for the end, none after it
        failures = sum(row['run'] == run and row['status'] == 'failed' for row in rows)
        assert 1 <= len(re.findall('^--- attempt', log, re.MULTILINE)) <= failures + 1


def test_sweep__killed_at_every_point_of_a_workers_work_has_each_cell_once(tmp_path):
    """Claiming, locking, adopting, writing the ledger, telling the study: before and after each."""
    place, dice = Place(tmp_path), random.Random(4)
    cells = [cell(f'c{number}', ('finish', 'fail first')[number % 2]) for number in range(16)]
    ends = [(point, moment) for point in doom.POINTS for moment in doom.MOMENTS]
    dice.shuffle(ends)
    try:
        for point, moment in ends:
            # Locks are taken in all that it does, the others once or twice a cell.
            number = dice.randint(1, 8) if point == 'lock' else dice.randint(1, 2)
            worker = place.start(*cells, attempts=1000, die_at=(point, moment, number))
            worker.join(60)
            assert worker.exitcode == -signal.SIGKILL, (point, moment, number)
        assert place.run(*cells, attempts=1000) == []
    finally:
        place.end()
    rows = place.ledger.rows()
    assert sorted(row['run'] for row in rows if row['status'] == 'finished') == sorted(
        each.run for each in cells
    )
    for each, calls in zip(cells, place.calls(*cells), strict=True):
        failed = [
            row['attempt'] for row in rows if row['run'] == each.run and row['status'] == 'failed'
        ]
        assert failed == list(range(1, len(failed) + 1))  # an attempt has one line
        assert 1 <= calls <= len(failed) + 1
