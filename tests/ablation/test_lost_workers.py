"""Workers and trainings that are gone, or look so: cells are taken over, an attempt counts once."""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import optuna
import pytest
from filelock import FileLock
from optuna.trial import TrialState
from sweep_place import Place, alive, cell, wait_until

from arml.ablation import Ledger, worker
from arml.ablation.process import LOCK, is_running
from arml.ablation.study import default_url
from arml.errors import ConfigError


@pytest.fixture
def place(tmp_path):
    """Folder, ledger and the processes of each cell."""
    here = Place(tmp_path)
    yield here
    here.end()


def test_run_sweep__a_worker_that_is_killed_after_the_line_loses_no_try(place, monkeypatch):
    bad, add = cell('a', 'fail'), Ledger.add_failed

    def add_and_die(ledger, row):
        add(ledger, row)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Ledger, 'add_failed', add_and_die)
    process = place.start(bad, attempts=3)
    process.join(60)
    monkeypatch.undo()
    assert len(place.ledger.rows()) == 1
    assert place.run(bad, attempts=3) == [bad]
    assert place.calls(bad) == [3]
    assert [row['attempt'] for row in place.ledger.rows()] == [1, 2, 3]


def test_run_sweep__a_trial_that_was_taken_for_dead_meanwhile_is_no_error(place):
    """Its machine slept, or the database was away: others have written it off, and it lives."""
    cells = [cell('a', 'fail when told'), cell('b', 'until told')]

    def write_off():
        place.wait_for(*cells)
        storage = optuna.storages.RDBStorage(default_url(place.folder))
        study = optuna.load_study(study_name='stub', storage=storage)
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
        place.tell(*cells)

    other = threading.Thread(target=write_off)
    other.start()
    try:
        assert place.run(*cells, workers=2) == []
    finally:
        other.join()
    assert place.calls(*cells) == [2, 1]
    rows = [(row['run'], row['status'], row['attempt']) for row in place.ledger.rows()]
    assert sorted(rows) == [('a', 'failed', 1), ('a', 'finished', 2), ('b', 'finished', 1)]


def test_run_sweep__a_training_that_is_ended_before_its_worker_has_not_failed(place):
    """A cluster asks all processes of a job to end, in any order."""
    process = place.start(cell('a', 'sleep first'))
    place.wait_for(cell('a'))
    os.kill(place.pids(cell('a'))[0], signal.SIGTERM)
    time.sleep(0.5)  # the worker has seen it by now
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 143
    assert place.ledger.rows() == []
    assert place.run(cell('a'), attempts=1) == []


def test_run_sweep__folders_do_not_share_a_study(tmp_path, place):
    """Studies are named by sweeps: the locks and the ledger of another folder are not here."""
    storage = f'sqlite:///{tmp_path / "shared.db"}'
    process = place.start(cell('a', 'sleep'), storage=storage)
    place.wait_for(cell('a'))
    other = Place(tmp_path / 'elsewhere', storage=storage)
    with pytest.raises(
        ConfigError, match=r'sweep stub: .*shared\.db has a study .* another folder'
    ) as raised:
        other.run(cell('a', 'sleep'))
    assert f'({place.folder.absolute()} on ' in str(raised.value)
    assert other.ledger.rows() == []
    process.kill()
    process.join(60)
    place.gone(cell('a'))
    assert place.run(cell('a'), storage=storage) == []  # the folder is known again


@pytest.mark.skipif(sys.platform != 'linux', reason='a wish to the Linux kernel')
def test_run_sweep__processes_die_with_a_killed_sweep(place):
    cells = [cell('a', 'sleep'), cell('b', 'ignore SIGTERM')]
    process = place.start(*cells, workers=2)
    place.wait_for(*cells)
    assert all(alive(pid) for each in cells for pid in place.pids(each))
    process.kill()
    process.join(60)
    place.gone(*cells)
    assert place.calls(*cells) == [1, 1]


def test_run_sweep__cells_of_a_killed_worker_are_taken_at_once(place):
    """By its lock, long before a heartbeat is missed; each loss is a line."""
    cells = [cell('a', 'sleep first'), cell('b')]
    process = place.start(*cells)
    place.wait_for(cells[0])
    process.kill()
    process.join(60)
    place.gone(cells[0])
    assert place.run(*cells) == []
    lost, *_ = place.ledger.rows()
    assert (lost['run'], lost['status'], lost['attempt'], lost['exit']) == ('a', 'failed', 1, None)
    assert 'ended: its worker is gone' in lost['log'][-1]
    assert 'a lost (its worker is gone): do=sleep first' in place.said
    assert place.ledger.finished()['a']['attempt'] == 2


def test_run_sweep__a_cell_that_kills_its_worker_is_given_up(place):
    bad = cell('a', 'kill the worker')
    for attempt in (1, 2):
        process = place.start(bad, cell('b'))
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        wait_until(lambda attempt=attempt: place.calls(bad) == [attempt])
    assert place.run(bad, cell('b')) == [bad]
    assert place.calls(bad) == [2]
    (said,) = [text for text in place.said if 'a lost' in text]
    shown = said.splitlines()[1:]
    assert [line.startswith('    --- attempt ') for line in shown] == [True, True, False]
    assert ' ended: its worker is gone' in shown[-1]
    assert place.ledger.statuses() == {'a': 'failed', 'b': 'finished'}


def test_run_sweep__an_idle_worker_takes_over_what_another_loses(place):
    cells = [cell('a', 'sleep first')]
    first = place.start(*cells)
    place.wait_for(*cells)
    second = place.start(*cells)
    wait_until(lambda: (place.folder / worker.CLAIM).is_file())
    first.kill()
    second.join(60)
    assert second.exitcode == 0
    assert place.calls(*cells) == [2]
    assert [row['status'] for row in place.ledger.rows()] == ['failed', 'finished']


@pytest.mark.skipif(sys.platform != 'linux', reason='another user, for a moment')
@pytest.mark.parametrize('held', [False, True])
def test_is_running__in_a_folder_that_may_only_be_read(held):
    with tempfile.TemporaryDirectory() as folder:
        work, lock = Path(folder), FileLock(Path(folder) / LOCK)
        lock.acquire()
        if not held:
            lock.release()
        (work / LOCK).chmod(0o444)
        work.chmod(0o555)

        def look():
            if os.geteuid() == 0:
                os.seteuid(65534)
            os._exit(is_running(work))

        process = multiprocessing.get_context('fork').Process(target=look)
        process.start()
        process.join(20)
        work.chmod(0o755)
        assert process.exitcode == held
        lock.release()
