"""What W&B's agents have run: noted by what runs it, taken into the ledger by whoever collects."""

import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from sweep_place import alive, wait_until
from tiny_run import CONFIG

from arml.ablation import Ledger, cell_of, read_sweep, wandb_engine
from arml.ablation.agent_runs import Collector, agent_runs, default_folder, running_under_agents
from arml.ablation.live import Standing
from arml.ablation.wandb_engine import SUPERVISOR
from arml.pipeline.alone import LOCK as RUN_LOCK
from tools import sweep as tool

TEXT = """
name: tiny_search
program: {program}
method: {method}
metric: {{name: segmentor/val/mIoU, goal: maximize}}
parameters:
  model.lambda_: {values}
  randomness.seed: {{value: 0}}
command: ['${{env}}', python, '${{program}}', {config}, --resume, --cfg-options, '${{args_no_hyphens}}']
"""
HERE = socket.gethostname()


class Runs:
    """A sweep, and notes of runs as ``agent_cell.py`` leaves them."""

    def __init__(self, folder: Path, method: str = 'random') -> None:
        values = '{min: 0.0, max: 0.8}' if method == 'random' else '{values: [0.1, 0.2]}'
        program = ROOT / 'tools' / 'train.py'
        chosen = 'random\nrun_cap: 3' if method == 'random' else method
        text = TEXT.format(program=program, config=CONFIG, method=chosen, values=values)
        (folder / 'tiny_search.yaml').write_text(text)
        self.sweep = read_sweep(folder / 'tiny_search.yaml')
        self.fixed = ['data_root=data', 'store=store']
        self.folder = Path('work_dirs') / 'sweeps' / self.sweep.name
        self.ledger = Ledger(self.folder / 'ledger.jsonl')
        self.said: list[str] = []

    def cell(self, lam):
        return cell_of(self.sweep, {'model.lambda_': lam, 'randomness.seed': 0}, self.fixed)

    def cells(self):
        return [self.cell(lam) for lam in (0.1, 0.2)] if self.sweep.method == 'grid' else []

    def collector(self):
        return Collector(
            self.sweep, self.cells(), self.ledger, self.folder, self.fixed, 'sweep0', self.said.append
        )  # fmt: skip

    def note(self, name, lam, host=HERE, **end):
        place = self.folder / 'agents' / 'sweep0' / name
        place.mkdir(parents=True, exist_ok=True)
        options = [f'model.lambda_={lam}', 'randomness.seed=0', *self.fixed]
        words = ['config.py', '--resume', '--cfg-options', *options]
        (place / 'log.txt').write_text('boom\n')
        (place / 'agent.lock').touch()
        (place / 'note.json').write_text(json.dumps({'words': words, 'host': host, **end}))
        return place

    def finish(self, cell, **more):
        work = default_folder(self.sweep, cell.run)
        work.mkdir(parents=True)
        (work / 'result.json').write_text(json.dumps({'run': cell.run, 'seconds': 1.0, **more}))
        return work

    def lines(self):
        return [(row['status'], row['run'], row.get('exit')) for row in self.ledger.rows()]


@pytest.fixture
def runs(tmp_path, fake_tissue, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Runs(tmp_path)


@pytest.fixture
def grid(tmp_path, fake_tissue, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Runs(tmp_path, 'grid')


def test_collector__a_search_that_fails_leaves_lines(runs):
    collector = runs.collector()
    runs.note('one', 0.1, exit=3, asked=None)
    runs.note('two', 0.2, exit=0, asked=None)
    runs.finish(runs.cell(0.2))
    for _ in range(2):
        collector.collect()
    bad, good = runs.cell(0.1), runs.cell(0.2)
    assert runs.lines() == [('finished', good.run, None), ('failed', bad.run, 3)]
    row = runs.ledger.rows()[1]
    assert (row['log'], row['attempt'], row['parameters']) == (['boom'], 1, bad.parameters)
    assert [cell.run for cell in collector.missing()] == [bad.run]
    assert f'{bad.run} failed (exit 3): model.lambda_=0.1' in runs.said[1]
    runs.collector().collect()  # of another call, or another machine
    assert len(runs.lines()) == 2


def test_collector__ended_early_by_wandb_is_a_pruned_line(runs):
    collector, cell = runs.collector(), runs.cell(0.1)
    history = default_folder(runs.sweep, cell.run) / 'segmentor' / 'history.jsonl'
    history.parent.mkdir(parents=True)
    rows = [{'kind': 'val', 'epoch': n, 'iter': n, 'mIoU': 40.0 + n} for n in (1, 2)]
    history.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    runs.note('one', 0.1, exit=143, asked=15)
    runs.note('two', 0.2, exit=-15, asked=15)
    collector.collect()
    found = {row['run']: (row['status'], row['value'], row['step']) for row in runs.ledger.rows()}
    assert found == {cell.run: ('pruned', 42.0, 2), runs.cell(0.2).run: ('pruned', None, None)}
    assert collector.missing() == []


@pytest.mark.parametrize('before', [True, False])
def test_collector__what_was_stopped_leaves_no_line(runs, before):
    """By us; or while nobody looked."""
    collector = runs.collector()
    runs.note('one', 0.1, exit=143, asked=15)
    runs.note('two', 0.2)  # killed together with what would have noted it
    if before:
        collector.bury(stopped=True)
    collector = runs.collector()
    assert json.loads((runs.folder / 'agents/sweep0/two/note.json').read_text()).get('asked') == (
        9 if before else None
    )
    collector.collect()
    assert runs.lines() == []


def test_collector__what_runs_elsewhere_is_not_failed(grid):
    """A grid that two machines work on: only what has ended is failed, whatever clocks say."""
    for name, lam, host in (('one', 0.1, HERE), ('two', 0.2, 'another')):
        grid.note(name, lam, host)
    collector = grid.collector()
    with (grid.folder / 'agents/sweep0/one/agent.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        collector.bury()
        assert grid.lines() == []
        assert [cell.run for cell in collector.missing()] == [cell.run for cell in grid.cells()]
    collector.bury()  # now it is dead
    assert grid.lines() == [('failed', grid.cell(0.1).run, -9)]


def test_collector__a_cell_of_a_grid_that_was_ended_early_is_missing(grid):
    collector = grid.collector()
    grid.note('one', 0.1, exit=-15, asked=15)
    collector.collect()
    assert (grid.lines(), len(collector.missing())) == ([], 2)


def test_collector__a_run_that_nobody_knows_the_key_of_is_missing(runs):
    collector = runs.collector()
    runs.fixed[0] = collector.fixed[0] = 'data_root=nowhere'
    runs.note('one', 0.1, exit=2, asked=None)
    collector.collect()
    assert (runs.lines(), [cell.run for cell in collector.missing()]) == ([], ['one'])
    assert 'W&B run one: nobody can say which cell it is: ' in runs.said[0]
    assert 'nowhere' in runs.said[0]


@pytest.mark.parametrize('method', ['random', 'grid'])
def test_standing__of_what_was_handed_out(tmp_path, fake_tissue, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    runs = Runs(tmp_path, method)
    collector = runs.collector()
    total = 3 if method == 'random' else 2
    assert collector.standing() == Standing(finished=0, failed=0, running=0, total=total)
    runs.note('one', 0.1, exit=3, asked=None)
    runs.note('two', 0.2)
    with (runs.folder / 'agents/sweep0/two/agent.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        collector.collect()
        assert collector.standing() == Standing(finished=0, failed=1, running=1, total=total)
    runs.note('two', 0.2, exit=0, asked=None)
    runs.note('three', 0.1, exit=0, asked=None)
    for lam, score in ((0.1, 40.0), (0.2, 50.0)):
        work = runs.finish(runs.cell(lam), histories={'segmentor': 'history.jsonl'})
        row = {'kind': 'val', 'epoch': 1, 'iter': 1, 'mIoU': score}
        (work / 'history.jsonl').write_text(json.dumps(row) + '\n')
    collector.collect()
    assert collector.standing() == Standing(
        finished=2, failed=0, running=0, total=total, best=('model.lambda_=0.2', 50.0)
    )


def test_standing__counts_what_was_ended_early(runs):
    collector = runs.collector()
    runs.note('one', 0.1, exit=-15, asked=15)
    collector.collect()
    assert collector.standing() == Standing(finished=0, failed=0, running=0, pruned=1, total=3)


def test_run_agents__keeps_a_line_at_a_terminal(grid, monkeypatch):
    class Terminal(io.StringIO):
        isatty = lambda self: True  # noqa: E731

    def start(words, log, environment):
        return subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(0.1)'])

    monkeypatch.setattr(sys, 'stderr', Terminal())
    monkeypatch.setattr(wandb_engine, 'start_fresh', start)
    monkeypatch.setattr(wandb_engine, 'PAUSE', 0.02)
    given = grid.sweep, grid.cells(), grid.ledger, grid.folder
    assert len(wandb_engine.run_agents(*given, fixed=grid.fixed, sweep_id='me/arml/sweep0')) == 2
    said = sys.stderr.getvalue()
    assert 'tiny_search: 0/2 finished, 0 running\r' in said
    assert said.endswith('\x1b[K')


def test_running_under_agents__by_the_locks(runs, tmp_path):
    runs.note('one', 0.1)
    runs.note('two', 0.2, exit=0, asked=None)
    assert running_under_agents(runs.sweep, [], runs.folder, runs.fixed) == {}
    with (runs.folder / 'agents/sweep0/one/agent.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = running_under_agents(runs.sweep, [], runs.folder, runs.fixed)
        assert found == {runs.cell(0.1).run: 'model.lambda_=0.1, randomness.seed=0'}
    grid = Runs(tmp_path, 'grid')
    work = default_folder(grid.sweep, grid.cell(0.2).run)
    work.mkdir(parents=True)
    with (work / RUN_LOCK).open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = running_under_agents(grid.sweep, grid.cells(), grid.folder, grid.fixed)
        assert list(found) == [grid.cell(0.2).run]


def test_sweep__status_and_stop_see_what_agents_run(grid, capsys):
    call = [str(grid.sweep.path), '--cfg-options', *grid.fixed]
    grid.note('one', 0.2)
    work = default_folder(grid.sweep, grid.cell(0.2).run)
    work.mkdir(parents=True)
    with (
        (work / RUN_LOCK).open('w') as lock,
        (grid.folder / 'agents/sweep0/one/agent.lock').open('w') as agent,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(agent, fcntl.LOCK_EX)
        assert tool.main(['status', *call]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == [
            f'{grid.cell(0.2).run} running  model.lambda_=0.2, randomness.seed=0',
            '2 cells: 1 to run, 1 running',
        ]
        assert tool.main(['stop', *call]) == 0
        said = capsys.readouterr().out
        assert '1 cells are running' in said
        assert 'wandb sweep --cancel' in said
        assert tool.main(['run', *call, '--engine', 'wandb', '--dry-run']) == 0
    shown = capsys.readouterr()
    assert 'agents of W&B would run these' in shown.err
    assert len(shown.out.splitlines()) == 2
    assert '--work-dir' not in shown.out
    assert tool.main(['stop', *call]) == 0
    assert 'wandb' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('words', 'name'),
    [
        (['--engine', 'wandb', '--attempts', '3'], '--attempts'),
        (['--engine', 'wandb', '--sampler', 'TPESampler'], '--sampler'),
        (['--engine', 'wandb', '--sampler-seed', '0'], '--sampler-seed'),
        (['--engine', 'wandb', '--storage', 'sqlite:///x'], '--storage'),
        (['--engine', 'wandb', '--heartbeat', '60'], '--heartbeat'),
        (['--engine', 'wandb', '--grace', '1'], '--grace'),
        (['--engine', 'wandb', '--start', 'warm'], '--start'),
        (['--sweep-id', 'a/b/c'], '--sweep-id'),
        (['--project', 'p'], '--project'),
    ],
)
def test_sweep__an_option_of_another_engine_is_refused(words, name):
    from arml.errors import ConfigError

    engine, other = ('wandb', 'optuna') if '--engine' in words else ('optuna', 'wandb')
    with pytest.raises(
        ConfigError,
        match=f'^{name}: found with --engine {engine}, .* expected with --engine {other}',
    ):
        tool.main(['run', 'x.yaml', *words])


def start_agent_cell(tmp_path, text):
    program = tmp_path / 'program.py'
    program.write_text(text)
    variables = {**os.environ, 'WANDB_SWEEP_ID': 'sweep0', 'WANDB_RUN_ID': 'one'}
    command = ['-I', SUPERVISOR, str(tmp_path / 'agents'), str(program), 'config.py', 'a=1']
    return subprocess.Popen(
        [sys.executable, *command], env=variables, text=True, stdout=subprocess.PIPE
    )


def test_agent_cell__notes_how_a_program_ended(tmp_path):
    process = start_agent_cell(tmp_path, 'import sys; print("boom"); sys.exit(3)')
    said = process.communicate(timeout=60)[0]
    (run,) = agent_runs(tmp_path, 'sweep0')
    assert (process.returncode, run.is_alive) == (3, False)
    assert run.note == {'words': ['config.py', 'a=1'], 'host': HERE, 'exit': 3, 'asked': None}
    assert (run.place / 'log.txt').read_text() == 'boom\n'
    assert str(run.place / 'log.txt') in said


SLEEP = 'import os, time; open("{}", "w").write(str(os.getpid())); time.sleep(60)'


def test_agent_cell__passes_a_signal_on_and_dies_of_it(tmp_path):
    """A status would be a failure to the agent, which gives up after three early ones."""
    process = start_agent_cell(tmp_path, SLEEP.format(tmp_path / 'pid'))
    wait_until(lambda: (tmp_path / 'pid').is_file() and (tmp_path / 'pid').read_text())
    (run,) = agent_runs(tmp_path)
    assert run.is_alive
    process.terminate()
    assert process.wait(30) == -signal.SIGTERM
    (run,) = agent_runs(tmp_path)
    assert (run.note['exit'], run.note['asked']) == (-15, 15)


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel ends what a killed process started')
def test_agent_cell__killed_takes_its_program_along(tmp_path):
    process = start_agent_cell(tmp_path, SLEEP.format(tmp_path / 'pid'))
    wait_until(lambda: (tmp_path / 'pid').is_file() and (tmp_path / 'pid').read_text())
    process.kill()
    process.wait(30)
    wait_until(lambda: not alive(int((tmp_path / 'pid').read_text())))
    (run,) = agent_runs(tmp_path)
    assert ('exit' in run.note, run.is_alive) == (False, False)
