"""Several workers on a real PostgreSQL server, some of them killed."""

import threading
import time

import optuna
import pytest
from optuna.trial import TrialState
from postgres import missing, server
from sweep_place import Place, cell, wait_until

from arml.ablation import worker

pytestmark = [
    pytest.mark.pg,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


@pytest.fixture(scope='module')
def database():
    with server() as found:
        yield found


@pytest.fixture
def place(tmp_path, database, request):
    here = Place(tmp_path, request.node.name, storage=database.url)
    yield here
    here.end()


def states(place):
    study = optuna.load_study(study_name=place.sweep.name, storage=place.storage)
    newest = {trial.user_attrs['cell']: trial.state for trial in study.get_trials()}
    return {run: state.name for run, state in newest.items()}


def test_postgres__workers_share_a_grid_and_some_are_killed(place):
    cells = [cell(f'c{number}', 'a moment') for number in range(8)]
    first = [place.start(*cells, workers=2, attempts=9) for _ in range(3)]
    for process in first[:2]:
        wait_until(lambda: sum(place.calls(*cells)) > 2)
        time.sleep(0.3)
        process.kill()
        process.join(60)
    last = place.start(*cells, attempts=9)
    for process in (first[2], last):
        process.join(120)
        assert process.exitcode == 0
    finished = [row['run'] for row in place.ledger.rows() if row['status'] == 'finished']
    assert sorted(finished) == [each.run for each in cells]
    lost = [row for row in place.ledger.rows() if row['status'] == 'failed']
    assert sum(place.calls(*cells)) <= len(cells) + len(lost)
    assert set(states(place).values()) == {'COMPLETE'}


def test_postgres__a_missed_heartbeat_tells_that_another_machine_is_lost(place):
    """Its lock says nothing here: on some shared file systems locks are not seen by other machines."""
    cells = [cell('a', 'sleep first'), cell('b')]
    process = place.start(*cells, host='elsewhere', heartbeat=1, grace=2)
    place.wait_for(cells[0])
    assert states(place)['a'] == TrialState.RUNNING.name
    process.kill()
    process.join(60)
    begun = time.monotonic()
    assert place.run(*cells, heartbeat=1, grace=2) == []
    assert time.monotonic() - begun > 1
    lost, *_ = [row for row in place.ledger.rows() if row['run'] == 'a']
    assert 'attempt 1 on elsewhere ended: no sign of life for 2 s' in lost['log'][-1]
    assert place.calls(*cells) == [2, 1]
    assert states(place) == {'a': 'COMPLETE', 'b': 'COMPLETE'}


def test_postgres__a_living_worker_elsewhere_keeps_its_cell(place):
    cells = [cell('a', 'two seconds')]
    process = place.start(*cells, host='elsewhere', heartbeat=1, grace=2)
    place.wait_for(*cells)
    assert place.run(*cells, heartbeat=1, grace=2) == []
    process.join(60)
    assert process.exitcode == 0
    assert place.calls(*cells) == [1]
    assert [row['status'] for row in place.ledger.rows()] == ['finished']


def test_postgres__is_away_while_a_cell_fails(place, database, monkeypatch):
    """Its line is in the ledger; the study hears of it once it is back, and the cell is tried again."""
    monkeypatch.setattr(worker, 'IDLE', 0.1)
    cells = [cell('a', 'fail when told'), cell('b')]

    def outage():
        place.wait_for(cells[0])
        database.stop()
        place.tell(cells[0])
        wait_until(place.ledger.rows)
        time.sleep(1)
        database.start()

    away = threading.Thread(target=outage)
    away.start()
    try:
        assert place.run(*cells) == []
    finally:
        away.join()
    rows = [(row['run'], row['status'], row['attempt']) for row in place.ledger.rows()]
    assert sorted(rows) == [('a', 'failed', 1), ('a', 'finished', 2), ('b', 'finished', 1)]
    assert place.calls(*cells) == [2, 1]
    assert set(states(place).values()) == {'COMPLETE'}
    assert any('the database does not answer' in text for text in place.said)


def test_postgres__was_away_and_nobody_is_taken_for_dead(place, database):
    """For longer than the grace: all signs of life are old then, and the next ones have yet to come."""
    cells = [cell('a', 'until told')]
    process = place.start(*cells, host='elsewhere', heartbeat=1, grace=2)
    place.wait_for(*cells)
    database.stop()
    time.sleep(3)
    database.start()
    end = threading.Timer(3, place.tell, cells)  # once another one has looked for long enough
    end.start()
    assert place.run(*cells, heartbeat=1, grace=2) == []
    process.join(60)
    assert process.exitcode == 0
    assert [row['status'] for row in place.ledger.rows()] == ['finished']
    assert place.calls(*cells) == [1]
