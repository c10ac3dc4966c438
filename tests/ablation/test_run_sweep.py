"""The processes of a sweep: tried again, recorded, ended with their parent, run by one at a time."""

import json
import os
import signal

import pytest
from sweep_place import Place, alive, cell

from arml.ablation import Ledger, command_of, worker
from arml.ablation import process as processes
from arml.ablation.outcome import LAST_LINES
from arml.ablation.queue import Work
from arml.ablation.run import forgive, request_stop
from arml.errors import ArmlError, ConfigError


@pytest.fixture
def place(tmp_path):
    """Folder, ledger and the processes of each cell."""
    here = Place(tmp_path)
    yield here
    here.end()


def test_run_sweep__result_goes_into_the_ledger_and_is_not_made_again(place):
    cells = [cell('a', **{'randomness.seed': 3}), cell('b', x=[1, None])]
    assert place.run(*cells, fixed=['data_root=d'], workers=2) == []
    first = place.ledger.finished()['a']
    assert first['rows'] == [{'name': 'ARML', 'split': 'test', 'metrics': {'mIoU': 43}}]
    for key, value in {
        'sweep': 'stub', 'config': 'config', 'run': 'a', 'status': 'finished', 'seed': 3,
        'parameters': {'do': 'finish', 'randomness.seed': 3}, 'fixed': ['data_root=d'], 'attempt': 1,
        'work_dir': str(place.folder / 'a'), 'dataset': 'tiny',
    }.items():  # fmt: skip
        assert first[key] == value
    result = json.loads((place.folder / 'b' / 'result.json').read_text())
    assert result['words'] == command_of(place.sweep, cells[1], place.folder, ['data_root=d'])[1:]
    assert result['words'][-3:] == ['do=finish', 'x=[1, None]', 'data_root=d']
    assert result['closed']
    assert place.said[0] == 'stub: 2 cells, 0 finished, 2 to run'
    # Of two workers either may be the last to speak.
    assert any(text.startswith('[2/2] ') for text in place.said[1:])

    assert place.run(*cells, cell('c')) == []
    assert 'stub: 3 cells, 2 finished, 1 to run' in place.said
    assert place.calls(*cells, cell('c')) == [1, 1, 1]
    assert [each['run'] for each in place.ledger.rows()][2:] == ['c']


def test_run_sweep__trackers_learn_of_the_sweep_by_the_environment(place, monkeypatch):
    monkeypatch.setenv('WANDB_RUN_ID', 'of somebody')
    place.sweep = type(place.sweep)(**{**vars(place.sweep), 'name': 'table3_stub'})
    assert place.run(cell('a')) == []
    found = json.loads((place.folder / 'a' / 'result.json').read_text())['environment']
    assert found == {
        'WANDB_RUN_GROUP': 'table3_stub', 'WANDB_NAME': 'do=finish', 'WANDB_RUN_ID': 'a',
        'WANDB_RESUME': 'allow', 'WANDB_TAGS': 'table3',
    }  # fmt: skip


def test_run_sweep__each_worker_has_its_gpu(place):
    cells = [cell(name, 'a moment') for name in 'abcd']
    assert place.run(*cells, workers=2, gpus=['4', '6']) == []
    found = [
        json.loads((place.folder / each.run / 'result.json').read_text())['gpu'] for each in cells
    ]
    assert set(found) == {'4', '6'}
    with pytest.raises(ConfigError, match=r'--workers 2 with --gpus 4: expected at most one'):
        place.run(*cells, workers=2, gpus=['4'])


def test_run_sweep__failing_cell_is_tried_again_and_recorded_with_its_last_lines(place):
    cells = [cell('bad', 'fail'), cell('killed', 'die'), cell('good')]
    assert place.run(*cells) == cells[:2]
    assert place.calls(*cells) == [2, 2, 1]
    rows = place.ledger.rows()
    bad, worse = (row for row in rows if row['run'] == 'bad')
    assert [bad['attempt'], worse['attempt']] == [1, 2]
    assert (worse['status'], worse['exit'], len(worse['log'])) == ('failed', 1, LAST_LINES)
    assert worse['log'][-2:] == ['line 29', 'error: as it was asked for']
    killed = [row for row in rows if row['run'] == 'killed'][-1]
    assert (killed['status'], killed['exit']) == ('failed', -signal.SIGKILL)
    assert place.ledger.statuses() == {'bad': 'failed', 'killed': 'failed', 'good': 'finished'}
    assert 'bad failed (exit 1), is tried again: do=fail' in place.said
    text = (place.folder / 'bad' / 'log.txt').read_text()
    assert [f'--- attempt {n}, ' in text for n in (1, 2, 3)] == [True, True, False]


def test_run_sweep__cells_without_a_try_left_wait_for_retry(place):
    cells = [cell('bad', 'fail'), cell('good')]
    assert place.run(*cells) == cells[:1]
    assert place.run(*cells) == cells[:1]
    said = 'stub: 2 cells, 1 finished, 1 failed (retry gives them new tries), 0 to run'
    assert place.said[-1] == said
    assert place.calls(*cells) == [2, 1]
    assert place.run(*cells, retry=True) == cells[:1]
    assert place.calls(*cells) == [4, 1]
    assert place.ledger.failures() == {'bad': 4}
    assert place.run(cell('bad'), cells[1], retry=True) == []


def test_run_sweep__new_tries_outlive_the_run_that_gave_them(place):
    """A retry that is stopped; one that was asked for on a machine that runs nothing."""
    cells = [cell('bad', 'fail'), cell('good')]
    assert place.run(*cells) == cells[:1]
    assert forgive(Work(place.sweep, place.ledger, place.folder)) == ['bad']
    assert place.run(*cells) == cells[:1]
    assert place.calls(*cells) == [4, 1]
    assert place.run(*cells) == cells[:1]
    assert place.calls(*cells) == [4, 1]
    assert [row['attempt'] for row in place.ledger.rows() if row['run'] == 'bad'] == [1, 2, 3, 4]


def test_run_sweep__cell_that_fails_once_is_finished(place):
    assert place.run(cell('a', 'fail first')) == []
    assert place.calls(cell('a')) == [2]
    found = [(row['status'], row['attempt']) for row in place.ledger.rows()]
    assert found == [('failed', 1), ('finished', 2)]


@pytest.mark.parametrize('do', ['be another run', 'leave no result'])
def test_run_sweep__result_of_another_run_does_not_count(place, do):
    """A config edited while its sweep runs; a file that lay there."""
    (place.folder / 'a').mkdir(parents=True)
    (place.folder / 'a' / 'result.json').write_text('{"run": "another", "rows": []}')
    assert place.run(cell('a', do), attempts=1) == [cell('a', do)]
    (row,) = place.ledger.rows()
    assert (row['status'], row['exit']) == ('failed', 0)
    assert 'result.json is of the run another, expected a' in row['log'][-1]


def test_run_sweep__finished_cells_are_found_and_not_run(place, tmp_path):
    """A worker was killed after the training and before the line; another sweep has the cell."""
    cells = [cell('a'), cell('b', x=1)]
    assert place.run(cells[0]) == []
    place.ledger.path.unlink()
    other = Place(tmp_path, 'other')
    assert other.run(cell('b', x=1.0)) == []
    assert place.run(*cells) == []
    assert place.calls(*cells) == [1, 0]
    a, b = place.ledger.rows()
    assert (a['attempt'], a['seconds'], a['work_dir']) == (1, 7.5, str(place.folder / 'a'))
    assert (b['sweep'], b['taken_from'], b['parameters']) == ('stub', 'other', cells[1].parameters)
    assert (b['work_dir'], b['rows']) == (str(other.folder / 'b'), other.ledger.rows()[0]['rows'])
    assert place.said[-1] == 'stub: 2 cells, 2 finished, 0 to run'


def test_run_sweep__a_line_that_lacks_what_ours_have_is_taken_over(place, tmp_path):
    other = Ledger(tmp_path / 'other' / 'ledger.jsonl')
    other.add({'run': 'a', 'status': 'finished', 'work_dir': 'there', 'rows': []})
    assert place.run(cell('a')) == []
    (row,) = place.ledger.rows()
    assert (row['taken_from'], row['seconds'], row['attempt']) == ('other', None, 1)
    assert place.calls(cell('a')) == [0]


def test_run_sweep__threads_are_shared_unless_set(place, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr('arml.ablation.process.cpus', lambda: 7)
    place.run(cell('a'), workers=2)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    place.run(cell('a'), cell('b'), workers=2)
    assert {run: row['threads'] for run, row in place.ledger.finished().items()} == {
        'a': '3', 'b': '1',
    }  # fmt: skip


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_sweep__a_stopped_sweep_ends_its_processes_and_goes_on_later(place, number, status):
    cells = [cell(name, 'sleep first') for name in 'abc']
    process = place.start(*cells, workers=2)
    place.wait_for(*cells[:2])
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == status
    assert not any(alive(pid) for each in cells for pid in place.pids(each))
    assert place.ledger.rows() == []
    assert place.pids(cells[2]) == []
    assert place.run(*cells[:2], attempts=1) == []
    assert len(place.ledger.finished()) == 2


def test_request_stop__ends_the_workers_of_all_processes(place):
    cells = [cell(name, 'sleep first') for name in 'abc']
    both = [place.start(*cells), place.start(*cells)]
    place.wait_for(*cells[:2])
    request_stop(place.folder)
    for process in both:
        process.join(60)
        assert process.exitcode == 3  # cells without a result
    assert place.ledger.rows() == []
    assert place.calls(*cells) == [1, 1, 0]
    assert place.run(*cells[:2], cell('c')) == []  # the wish was for those that ran


def test_run_sweep__a_process_that_does_not_listen_is_killed(place, monkeypatch):
    monkeypatch.setattr(processes, 'GRACE', 0.3)
    process = place.start(cell('a', 'ignore SIGTERM'))
    place.wait_for(cell('a'))
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    assert not any(map(alive, place.pids(cell('a'))))


def test_run_sweep__two_sweeps_at_once_run_each_cell_once(place):
    cells = [cell(name, 'a moment') for name in 'abcde']
    both = [place.start(*cells) for _ in range(2)]
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert place.calls(*cells) == [1] * 5
    assert sorted(row['run'] for row in place.ledger.rows()) == list('abcde')


def test_run_sweep__waits_for_a_cell_whose_lock_another_process_holds(place):
    """A worker that was taken for dead, because its machine slept, still has its cell."""
    storage = (
        f'sqlite:///{place.folder.parent / "other.db"}'  # another study: it knows nothing of ours
    )
    cells = [cell('a', 'until told'), cell('b')]
    process = place.start(cells[0], storage=storage)
    place.wait_for(cells[0])

    def say(text):
        if text == 'a: another process runs it: do=until told':
            place.tell(cells[0])

    assert place.run(*cells, say=say) == []
    process.join(60)
    assert process.exitcode == 0
    assert sorted(row['run'] for row in place.ledger.rows()) == ['a', 'b']
    assert place.calls(cell('a')) == [1]


def test_run_sweep__raises(place, tmp_path):
    """What cannot be written ends the sweep, and the cells that run beside."""
    (tmp_path / 'file').touch()
    place.ledger = Ledger(tmp_path / 'file' / 'ledger.jsonl')
    cells = [cell('slow', 'sleep'), cell('quick', 'a moment')]
    with pytest.raises(ArmlError, match=r'cannot write .*ledger\.jsonl'):
        place.run(*cells, workers=2)
    assert not any(alive(pid) for each in cells for pid in place.pids(each))
    place.ledger, place.folder = Ledger(tmp_path / 'ledger.jsonl'), tmp_path / 'file' / 'x'
    with pytest.raises(ArmlError, match=r'cannot write .*claim\.lock'):
        place.run(cell('a'))
    place.folder = tmp_path / 'other'
    (place.folder / worker.CLAIM).mkdir(parents=True)
    with pytest.raises(ArmlError, match=r'cannot write .*claim\.lock: Is a directory'):
        place.run(cell('a'))
    (place.folder / worker.CLAIM).rmdir()
    with pytest.raises(ConfigError, match=r'--sampler TPESampler: sweep stub is a grid'):
        place.run(cell('a'), sampler='TPESampler')
