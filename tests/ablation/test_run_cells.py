"""The processes of a sweep: tried again, recorded, ended with their parent, run by one at a time."""

import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from arml.ablation import Cell, Ledger, Sweep, command_of, run_cells
from arml.ablation import run as module
from arml.cli import run_tool
from arml.errors import ArmlError

STUB = Path(__file__).with_name('stub.py')
SWEEP = Sweep('stub', Path('config.py'), {}, STUB)


def cell(name, do='finish', **more):
    return Cell({'do': do, **more}, name)


@pytest.fixture
def place(tmp_path):
    """Folder, ledger and the processes of each cell."""
    here = Place(tmp_path)
    yield here
    for process in here.sweeps:
        process.kill()


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger = folder / 'runs', Ledger(folder / 'ledger.jsonl')
        self.said: list[str] = []
        self.sweeps: list[multiprocessing.Process] = []

    def run(self, *cells, **options):
        options.setdefault('say', self.said.append)
        return run_cells(SWEEP, cells, self.ledger, self.folder, **options)

    def pids(self, cell):
        file = self.folder / cell.run / 'calls'
        return [int(line) for line in file.read_text().split()] if file.is_file() else []

    def wait_for(self, *cells):
        for each in cells:
            wait_until(lambda each=each: (self.folder / each.run / 'ready').is_file())

    def gone(self, *cells):
        for each in cells:
            wait_until(lambda each=each: not any(map(alive, self.pids(each))))


def wait_until(true, seconds=40):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for is dead too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f'/proc/{pid}/stat')
    try:
        return stat.read_text().rpartition(') ')[2][0] != 'Z'
    except OSError:
        return not Path('/proc').is_dir()


def in_a_process(place, *cells, **options):
    """``run_cells`` as a tool, in a process of its own."""

    def tool():
        sys.exit(run_tool(lambda: len(place.run(*cells, say=lambda text: None, **options))))

    process = multiprocessing.get_context('fork').Process(target=tool)
    place.sweeps.append(process)
    process.start()
    return process


def test_run_cells__result_goes_into_the_ledger_and_is_not_made_again(place):
    cells = [cell('a', **{'randomness.seed': 3}), cell('b', x=[1, None])]
    assert place.run(*cells, fixed=['data_root=d'], workers=2) == []
    first = place.ledger.finished()['a']
    assert first['rows'] == [{'name': 'ARML', 'split': 'test', 'metrics': {'mIoU': 43}}]
    for key, value in {
        'sweep': 'stub', 'config': 'config', 'run': 'a', 'status': 'finished', 'seed': 3,
        'parameters': {'do': 'finish', 'randomness.seed': 3}, 'fixed': ['data_root=d'],
    }.items():  # fmt: skip
        assert first[key] == value
    result = json.loads((place.folder / 'b' / 'result.json').read_text())
    assert result['words'] == command_of(SWEEP, cells[1], place.folder, ['data_root=d'])[1:]
    assert result['words'][-3:] == ['do=finish', 'x=[1, None]', 'data_root=d']
    assert result['closed']
    assert place.said[0] == 'stub: 2 cells, 0 finished, 2 to run'
    assert place.said[-1].startswith('[2/2] ')

    assert place.run(*cells, cell('c')) == []
    assert 'stub: 3 cells, 2 finished, 1 to run' in place.said
    assert [len(place.pids(each)) for each in (*cells, cell('c'))] == [1, 1, 1]
    assert [each['run'] for each in place.ledger.rows()][2:] == ['c']


def test_run_cells__failing_cell_is_tried_again_and_recorded_with_its_last_lines(place):
    cells = [cell('bad', 'fail'), cell('killed', 'die'), cell('good')]
    assert place.run(*cells) == cells[:2]
    assert [len(place.pids(each)) for each in cells] == [2, 2, 1]
    bad, killed, good = place.ledger.rows()
    assert (bad['status'], bad['exit'], len(bad['log'])) == ('failed', 1, module.LAST_LINES)
    assert bad['log'][-2:] == ['line 29', 'error: as it was asked for']
    assert (killed['status'], killed['exit']) == ('failed', -signal.SIGKILL)
    assert good['status'] == 'finished'
    assert 'bad failed (exit 1), is tried again: do=fail' in place.said
    assert place.run(*cells, attempts=1) == cells[:2]
    assert [len(place.pids(each)) for each in cells] == [3, 3, 1]


def test_run_cells__cell_that_fails_once_leaves_one_line(place):
    assert place.run(cell('a', 'fail first')) == []
    assert len(place.pids(cell('a'))) == 2
    assert [row['status'] for row in place.ledger.rows()] == ['finished']


@pytest.mark.parametrize('do', ['be another run', 'leave no result'])
def test_run_cells__result_of_another_run_does_not_count(place, do):
    """A config edited while its sweep runs; a file that lay there."""
    (place.folder / 'a').mkdir(parents=True)
    (place.folder / 'a' / 'result.json').write_text('{"run": "another", "rows": []}')
    assert place.run(cell('a', do), attempts=1) == [cell('a', do)]
    (row,) = place.ledger.rows()
    assert (row['status'], row['exit']) == ('failed', 0)
    assert 'result.json is of the run another, expected a' in row['log'][-1]
    (place.folder / 'a' / 'result.json').unlink()
    if do == 'leave no result':
        assert place.run(cell('a', do), attempts=1) == [cell('a', do)]


def test_run_cells__threads_are_shared_unless_set(place, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 7)
    place.run(cell('a'), workers=2)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    place.run(cell('b'), workers=2)
    assert {run: row['threads'] for run, row in place.ledger.finished().items()} == {
        'a': '3', 'b': '1',
    }  # fmt: skip


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_cells__a_stopped_sweep_ends_its_processes_and_goes_on_later(place, number, status):
    cells = [cell(name, 'sleep first') for name in 'abc']
    process = in_a_process(place, *cells, workers=2)
    place.wait_for(*cells[:2])
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == status
    assert not any(alive(pid) for each in cells for pid in place.pids(each))
    assert place.ledger.rows() == []
    assert place.pids(cells[2]) == []
    assert place.run(*cells[:2]) == []
    assert len(place.ledger.finished()) == 2


def test_run_cells__a_process_that_does_not_listen_is_killed(place, monkeypatch):
    monkeypatch.setattr(module, 'GRACE', 0.3)
    process = in_a_process(place, cell('a', 'ignore SIGTERM'))
    place.wait_for(cell('a'))
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    assert not any(map(alive, place.pids(cell('a'))))


@pytest.mark.skipif(sys.platform != 'linux', reason='a wish to the Linux kernel')
def test_run_cells__processes_die_with_a_killed_sweep(place):
    cells = [cell('a', 'sleep'), cell('b', 'ignore SIGTERM')]
    process = in_a_process(place, *cells, workers=2)
    place.wait_for(*cells)
    assert all(alive(pid) for each in cells for pid in place.pids(each))
    process.kill()
    process.join(60)
    place.gone(*cells)
    assert [len(place.pids(each)) for each in cells] == [1, 1]


def test_run_cells__two_sweeps_at_once_run_each_cell_once(place):
    cells = [cell(name, 'a moment') for name in 'abcde']
    processes = [in_a_process(place, *cells) for _ in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [len(place.pids(each)) for each in cells] == [1] * 5
    assert sorted(row['run'] for row in place.ledger.rows()) == list('abcde')


def test_run_cells__waits_for_a_cell_that_another_sweep_runs(place):
    other = in_a_process(place, cell('a', 'a moment'))
    place.wait_for(cell('a'))
    assert place.run(cell('a', 'a moment'), cell('b')) == []
    other.join(60)
    assert 'a: another process runs it: do=a moment' in place.said
    assert [row['run'] for row in place.ledger.rows()] in (['a', 'b'], ['b', 'a'])
    assert len(place.pids(cell('a'))) == 1


def test_run_cells__raises(place, tmp_path):
    """What cannot be written ends the sweep, and the cells that run beside."""
    (tmp_path / 'file').touch()
    place.ledger = Ledger(tmp_path / 'file' / 'ledger.jsonl')
    cells = [cell('slow', 'sleep'), cell('quick', 'a moment')]
    with pytest.raises(ArmlError, match=r'cannot write .*ledger\.jsonl'):
        place.run(*cells, workers=2)
    assert not any(alive(pid) for each in cells for pid in place.pids(each))
    place.ledger, place.folder = Ledger(tmp_path / 'ledger.jsonl'), tmp_path / 'file'
    with pytest.raises(ArmlError, match=r'cannot write .*sweep\.lock'):
        place.run(cell('a'))
