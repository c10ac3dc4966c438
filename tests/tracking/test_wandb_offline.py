"""What the real SDK writes offline, read back: steps, columns, tables, masks, descent, states."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
import yaml
from killed_service import kill_service
from tiny_run import CONFIG
from tracked_run import (
    ITERATIONS,
    OFFLINE,
    SHORT,
    at_iteration,
    environment,
    history_of,
    result_of,
    run,
    same,
    terminate,
)  # fmt: skip
from wandb_files import offline_runs

from arml.errors import ArmlError
from arml.tracking import export_ledger


@pytest.fixture(scope='module')
def folder(tmp_path_factory, tiny_run) -> Path:
    """A run that SIGTERM ended in the second epoch of its segmentor, and that was resumed."""
    folder = tmp_path_factory.mktemp('offline')
    asked = {'WANDB_TAGS': 'table3,mine', 'WANDB_RUN_GROUP': 'omega', 'WANDB_PROJECT': 'theirs'}
    with environment(**OFFLINE, **asked):
        with at_iteration(ITERATIONS + 1, terminate), pytest.raises(SystemExit, match='143'):
            run(tiny_run, folder, **{k.replace('.', '__'): v for k, v in SHORT.items()})
        assert run(tiny_run, folder, resume=True, train_cfg__max_epochs=2) == 0
    return folder


@pytest.fixture(scope='module')
def attempts(folder):
    found = offline_runs(folder)
    assert len(found) == 2
    return found


def test_offline__a_run_that_was_ended_is_a_failed_one_and_the_resumed_goes_on_under_its_id(
    attempts, folder
):
    crashed, resumed = attempts
    assert (crashed.exit, resumed.exit) == (143, 0)
    assert crashed.id == resumed.id
    run_key = result_of(folder)['run']
    assert resumed.id.startswith(run_key)
    assert resumed.name == f'pipeline-{run_key}'
    for found in attempts:
        assert (found.project, found.group) == ('theirs', 'omega')
        assert found.tags == ['table3', 'mine']


def test_offline__curves_stand_at_their_iterations_in_the_crashed_run_too(attempts, folder):
    crashed, resumed = attempts
    rows = history_of(folder, 'segmentor')
    losses = {row['iter']: row['loss'] for row in rows if row['kind'] == 'train'}
    scores = [(row['iter'], row['mIoU']) for row in rows if row['kind'] == 'val']
    assert list(losses) == [ITERATIONS, 2 * ITERATIONS]
    assert scores
    for found, iterations in ((crashed, [ITERATIONS]), (resumed, [ITERATIONS, 2 * ITERATIONS])):
        curve = found.curve('segmentor/train/loss', 'segmentor/iter')
        assert [step for step, _ in curve] == iterations
        for step, value in curve:
            assert value == pytest.approx(losses[step], rel=1e-4)
    assert same(resumed.curve('segmentor/val/mIoU', 'segmentor/iter'), scores)
    assert [step for step, _ in resumed.curve('segmentor/train/lr', 'segmentor/epoch')] == [1, 2]
    assert resumed.metrics['segmentor/*'] == 'segmentor/iter'


def test_offline__a_reused_stage_shows_its_history(attempts, folder):
    rows = history_of(folder, 'classifier')
    for found in attempts:
        for kind, name in (('train', 'loss'), ('val', 'mIoU')):
            expected = [(row['iter'], row[name]) for row in rows if row['kind'] == kind]
            assert same(found.curve(f'classifier/{kind}/{name}', 'classifier/iter'), expected)


def test_offline__columns_are_what_tells_runs_apart_not_the_whole_config(attempts, folder):
    config = attempts[1].config
    assert config['train_cfg.max_epochs'] == 2
    assert (config['seed'], config['cell']) == (0, result_of(folder)['run'])
    assert config['commit'] == result_of(folder)['commit']
    assert config['versions']['torch'] == result_of(folder)['versions']['torch']
    assert not {'model', 'train_dataloader', 'optim_wrapper'} & config.keys()
    (artifact,) = [a for a in attempts[1].artifacts if a.type == 'config']
    assert {entry.path for entry in artifact.manifest.contents} == {'config.py', 'environment.json'}


def test_offline__descent_of_the_segmentor(attempts, folder):
    stages = result_of(folder)['stages']
    name = {stage: f'{stage}-{stages[stage]["key"]}' for stage in stages}
    resumed = attempts[1]
    (made,) = [artifact for artifact in resumed.artifacts if artifact.type == 'model']
    assert made.name == name['segmentor']
    metadata = yaml.safe_load(made.metadata)
    assert metadata['made_from'] == [name['classifier'], name['pseudo_masks']]
    assert metadata['key'] == stages['segmentor']['key']
    (entry,) = made.manifest.contents
    assert (entry.path, entry.ref.startswith('file:///')) == ('checkpoint.pth', True)
    assert resumed.summary['used/classifier'] == name['classifier']
    assert resumed.summary['used/pseudo_masks'] == name['pseudo_masks']
    assert resumed.summary['made/segmentor'] == name['segmentor']


def test_offline__scores_tables_and_masks_of_the_end(attempts, folder):
    crashed, resumed = attempts
    result = result_of(folder)
    final = result['rows'][-1]
    assert final['name'] == 'ARML'
    for score in ('mIoU', 'Dice.TUM', 'IoU.NEC'):
        assert resumed.summary[f'test/{score}'] == pytest.approx(final['metrics'][score])
    assert not any(name.startswith('test/') for name in crashed.summary)
    logged = {name: value for line in resumed.history for name, value in line.items()}
    assert (logged['scores']['_type'], logged['scores']['nrows']) == (
        'table-file',
        len(result['rows']),
    )
    table = yaml.safe_load((resumed.folder / 'files' / logged['per_class']['path']).read_text())
    assert table['columns'] == ['row', 'split', 'protocol', 'class', 'IoU', 'Dice']
    lines = [line for line in table['data'] if line[:4] == ['ARML', 'test', 'A', 'TUM']]
    assert lines[0][4] == pytest.approx(final['metrics']['IoU.TUM'])
    tiles = logged['test/tiles']
    assert tiles['count'] == 6
    assert set(tiles['all_masks'][0]) == {'prediction', 'truth'}
    labels = logged['test/tiles']['all_masks'][0]['prediction']
    assert (resumed.folder / 'files' / labels['path']).is_file()
    assert 'final' in logged['pseudo_masks/tiles']['all_masks'][0]


def test_offline__under_an_agent(tiny_run, folder, tmp_path):
    """It reports unasked. W&B's sweep names and locks; a run that is tried again is a new one in the same group."""
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text(
        yaml.safe_dump({'train_cfg.max_epochs': {'value': 2}, 'wandb_version': 1})
    )
    agent = {'WANDB_SWEEP_ID': 'sweep7', 'WANDB_SWEEP_PARAM_PATH': parameters}
    shutil.copytree(folder / 'store', tmp_path / 'store', symlinks=True)
    (tmp_path / 'work').mkdir()
    kept = {
        'run': result_of(folder)['run'],
        'W&B': {'id': 'before', 'stages': {'segmentor': 'whole'}},
    }
    (tmp_path / 'work' / 'tracking.json').write_text(json.dumps(kept))
    with environment(**OFFLINE, **agent, WANDB_RUN_ID='second', WANDB_RUN_GROUP='omega'):
        assert run(tiny_run, tmp_path, None, resume=True, train_cfg__max_epochs=2) == 0
    (found,) = offline_runs(tmp_path)
    assert (found.id, found.sweep, found.group, found.exit) == ('second', 'sweep7', 'omega', 0)
    assert found.config['train_cfg.max_epochs'] == 2
    assert found.config['seed'] == 0
    assert found.curve('segmentor/val/mIoU', 'segmentor/iter')
    kept = json.loads((tmp_path / 'work' / 'tracking.json').read_text())['W&B']
    assert (kept['id'], kept['sweep']) == ('second', 'sweep7')


def test_disabled__nothing_is_written_and_the_run_ends(tiny_run, folder, tmp_path):
    shutil.copytree(folder / 'store', tmp_path / 'store', symlinks=True)
    with environment(WANDB_MODE='disabled', WANDB_SILENT='true'):
        assert run(tiny_run, tmp_path, train_cfg__max_epochs=2) == 0
    assert result_of(tmp_path)['rows'] == result_of(folder)['rows']
    assert not list(tmp_path.rglob('*.wandb'))


def test_wandb__missing_is_a_warning(tiny_run, folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder / 'store', tmp_path / 'store', symlinks=True)
    monkeypatch.setitem(sys.modules, 'wandb', None)
    assert run(tiny_run, tmp_path, train_cfg__max_epochs=2) == 0
    error = capsys.readouterr().err
    assert error.count('warning:') == 1
    assert (
        'W&B tracking is off from here, the training goes on. begin: ImportError: the package wandb'
        in error
    )
    assert 'pip install wandb' in error
    assert result_of(tmp_path)['rows'] == result_of(folder)['rows']


@pytest.mark.skipif(sys.platform != 'linux', reason='finds the process of W&B in /proc')
def test_wandb__its_own_process_dies_in_the_middle(tiny_run, folder, tmp_path, capsys):
    with environment(**OFFLINE):
        with at_iteration(1, kill_service):
            assert run(tiny_run, tmp_path, train_cfg__max_epochs=2) == 0
        with contextlib.suppress(ConnectionError):  # W&B's own end; a program's is tested below
            wandb.teardown()
    assert 'W&B tracking is off from here' in capsys.readouterr().err
    assert result_of(tmp_path)['rows'] == result_of(folder)['rows']


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='finds the process of W&B in /proc')
def test_wandb__a_program_whose_wandb_died_ends_with_status_0(tiny_run, folder, tmp_path):
    """As a program: what W&B does at the end of a process must not change its status."""
    shutil.copytree(tiny_run.store, tmp_path / 'store')
    variables = {**os.environ, **OFFLINE, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [
            sys.executable, Path(__file__).with_name('killed_service.py'), CONFIG,
            '--work-dir', tmp_path / 'work', '--cfg-options', f'data_root={tiny_run.data}',
            f'store={tmp_path / "store"}', 'tracking=wandb', 'train_cfg.max_epochs=2',
        ],
        env=variables, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'killed 1' in done.stdout
    assert done.stderr.count('W&B tracking is off from here, the training goes on.') == 1
    assert result_of(tmp_path)['rows'] == result_of(folder)['rows']


@pytest.mark.skipif(sys.platform != 'linux', reason='finds the process of W&B in /proc')
def test_wandb__its_own_process_hangs(tmp_path):
    """Values are logged into a pipe, which is full at some time; and the program must end without W&B, too."""
    log = tmp_path / 'log.txt'  # a pipe would not end before W&B's process
    command = [sys.executable, Path(__file__).with_name('stopped_service.py'), tmp_path]
    variables = {**os.environ, **OFFLINE, 'WANDB_FINISH_TIMEOUT': '1', 'OMP_NUM_THREADS': '1'}
    with (
        log.open('w') as output,
        subprocess.Popen(command, env=variables, stdout=output) as program,
    ):
        try:
            status = program.wait(120)
        finally:
            program.kill()
            pid, *said = log.read_text().splitlines() or ['0']
            if int(pid):
                os.kill(int(pid), signal.SIGKILL)
    assert (status, said[-1]) == (0, 'the training went on')
    assert len(said) == 2
    assert 'the training goes on. log: TimeoutError: no answer in 1 s' in said[0]


class Named:
    name, tags = 'tiny', ['table3']


@pytest.fixture
def ledger_row(folder):
    result = result_of(folder)
    kept = (
        'run',
        'seed',
        'commit',
        'versions',
        'classes',
        'rows',
        'stages',
        'validation',
        'histories',
        'seconds',
    )
    return {
        **{key: result.get(key) for key in kept}, 'sweep': 'tiny', 'config': 'pipeline', 'status': 'finished',
        'parameters': {'train_cfg.max_epochs': 2}, 'work_dir': str(folder / 'work'),
    }  # fmt: skip


def test_export__fills_wandb_from_the_ledger_once(folder, ledger_row, tmp_path, attempts):
    failed = {
        'run': 'bad', 'status': 'failed', 'parameters': {'train_cfg.max_epochs': 9}, 'exit': 1,
        'log': ['line', 'error: x'], 'work_dir': str(folder / 'bad'),
    }  # fmt: skip
    rows = [{**ledger_row, 'status': 'failed', 'rows': None}, ledger_row, failed]
    said = []
    for _ in range(2):
        with environment(**OFFLINE):
            assert export_ledger(rows, Named(), project='mine', say=said.append) == 2
    assert said == []
    exported = {each.id: each for each in offline_runs(folder / 'wandb_export')}
    assert len(exported) == len(offline_runs(folder / 'wandb_export')) == 2
    cell = exported[ledger_row['run']]
    assert (cell.name, cell.group, cell.tags) == ('train_cfg.max_epochs=2', 'tiny', ['table3'])
    assert (cell.project, cell.exit) == ('mine', 0)
    assert cell.config['train_cfg.max_epochs'] == 2
    resumed = attempts[1]
    for name in ('classifier/train/loss', 'segmentor/val/mIoU'):
        step = f'{name.split("/")[0]}/iter'
        assert same(cell.curve(name, step), resumed.curve(name, step))
    tests = {name: value for name, value in resumed.summary.items() if name.startswith('test/')}
    assert tests == {name: cell.summary[name] for name in tests}
    assert any('test/tiles' in line for line in cell.history)
    assert described(cell) == described(resumed)
    assert [kind for _, kind, _, _ in described(cell)] == ['config', 'model']
    for name in ('used/classifier', 'used/pseudo_masks', 'made/segmentor'):
        assert cell.summary[name] == resumed.summary[name]
    bad = exported['bad']
    assert (bad.exit, bad.summary['log']) == (1, 'line\nerror: x')


def described(run):
    """Config and products of a run, with their descent and what they hold."""
    return [
        (each.name, each.type, yaml.safe_load(each.metadata), each.digest)
        for each in run.artifacts
        if each.type != 'run_table'
    ]


def test_export__says_in_one_line_what_is_not_here(ledger_row, tmp_path, monkeypatch):
    """A ledger of a clone has no histories and no products."""
    monkeypatch.chdir(tmp_path)
    row, said = {**ledger_row, 'work_dir': None}, []
    gone = f'work_dirs/sweeps/tiny/{row["run"]}'
    with environment(**OFFLINE):
        assert export_ledger([row], Named(), say=said.append) == 1
    assert said == [
        f'warning: tiny: not in W&B, because they are not here: 2 files of the config (sought in {gone}/config.py '
        f'and so on), 2 histories (sought in {gone}/classifier/history.jsonl and so on), {len(row["stages"])} '
        f'products (sought in {gone}/{next(iter(row["stages"]))}/product.json and so on). A ledger has scores '
        'only; export where the work dirs and the store lie.'
    ]
    (run,) = offline_runs(tmp_path / 'work_dirs' / 'sweeps' / 'tiny' / 'wandb_export')
    assert run.summary['test/mIoU'] == row['rows'][-1]['metrics']['mIoU']
    assert (described(run), run.curve('segmentor/val/mIoU', 'segmentor/iter')) == ([], [])


def test_export__raises(ledger_row, monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(ArmlError, match=r'sweep tiny, run .*the package wandb cannot be imported'):
        export_ledger([ledger_row], Named())
