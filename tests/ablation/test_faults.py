"""Real trainings, killed again and again at random moments: in the end each cell is there once, as undisturbed."""

import contextlib
import itertools
import random
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from sweep_place import Place, kill
from tiny_run import QUICK

from arml.ablation import Sweep, cells_of

#: Who is killed, in an order that is drawn: trainings, their workers, the processes that they are forked from.
VICTIMS = ['training'] * 13 + ['worker'] * 6 + ['warm'] * 2
#: Of an undisturbed cell's time, how long a victim may live at most once it is chosen.
REPRIEVE = 0.7

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


def victim(kind: str, worker: int) -> int | None:
    """The process of a worker to kill; None if it has none of that kind now."""
    below = descendants(worker)
    candidates = {'worker': [[worker]], 'warm': below[:1], 'training': below[1:2]}[kind]
    return next((pid for pids in candidates for pid in pids), None)


def disturbed(place, cells, victims: list[str], dice: random.Random, patience: float, **options):
    """Run a sweep with two workers to its end, and kill who is to be killed meanwhile.

    Args:
        place: Of the sweep.
        cells: Its cells.
        victims: Kinds; those that were killed are taken out.
        dice: Draws which worker it is, and the moment.
        patience: Seconds that a victim is left at most.
        **options: Of the sweep.
    """
    workers = [place.start(*cells, **options) for _ in range(2)]
    end = time.monotonic() + 600
    moment = None
    while any(worker.is_alive() for worker in workers):
        assert time.monotonic() < end, place.ledger.rows()
        time.sleep(0.02)
        for number, worker in enumerate(workers):
            if not worker.is_alive() and worker.exitcode != 0:
                workers[number] = place.start(*cells, **options)
        number = dice.randrange(2)
        pid = victim(victims[-1], workers[number].pid) if victims else None
        if pid is None:
            continue
        moment = moment or time.monotonic() + dice.uniform(0, patience)
        if time.monotonic() > moment and kill(pid):
            victims.pop()
            moment = None
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_sweep__killed_at_random_moments_ends_as_undisturbed(tmp_path, fake_tissue, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    sweep = Sweep(
        name='faults', path=Path('faults.yaml'), config=ROOT / 'tests' / 'conf' / 'short.py',
        program=ROOT / 'tools' / 'train.py',
        parameters={
            **{name: [value] for name, value in QUICK.items()}, 'model.swv.omega': [1, 3],
            'randomness.seed': [0, 1],
        },
    )  # fmt: skip

    def at(name):
        place = Place(tmp_path / name, 'faults')
        place.sweep = sweep
        fixed = [f'data_root={fake_tissue}', f'store={tmp_path / name / "store"}']
        return place, cells_of(sweep, fixed), {'fixed': fixed, 'warm': True}

    calm, cells, options = at('calm')
    assert calm.run(*cells, workers=2, **options) == []
    expected = {row['run']: row['rows'] for row in calm.ledger.rows()}
    assert len(expected) == 4
    assert len({str(rows) for rows in expected.values()}) == 4  # or equality would show nothing
    patience = REPRIEVE * min(row['seconds'] for row in calm.ledger.rows())

    dice = random.Random(4)
    victims = dice.sample(VICTIMS, len(VICTIMS))
    for number in itertools.count():  # a fast machine needs more than one sweep for all of them
        place, cells, options = at(f'disturbed{number}')
        try:
            disturbed(place, cells, victims, dice, patience, attempts=1000, **options)
        finally:
            place.end()
        rows = place.ledger.rows()
        finished = [row for row in rows if row['status'] == 'finished']
        assert sorted(row['run'] for row in finished) == sorted(expected)
        assert {row['run']: row['rows'] for row in finished} == expected
        for cell in cells:  # a start for each failure and one for the end, none after it
            log = (place.folder / cell.run / 'log.txt').read_text()
            failures = sum(row['run'] == cell.run and row['status'] == 'failed' for row in rows)
            assert 1 <= log.count('--- attempt') <= failures + 1
        products = (tmp_path / f'disturbed{number}' / 'store').glob('classifier/*/product.json')
        assert len(list(products)) == 2  # one a seed
        if not victims:
            break
