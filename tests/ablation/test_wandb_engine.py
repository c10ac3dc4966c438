"""W&B as the engine: its real commands and agents against a server on the loopback interface."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from sweep_place import alive, wait_until
from tiny_run import CONFIG

from arml.ablation import Cell, Ledger, cells_of, read_options, read_sweep
from arml.ablation.agent_runs import agent_runs
from arml.ablation.process import environment_of as cell_environment
from arml.ablation.run import request_stop
from arml.ablation.wandb_engine import SUPERVISOR, environment_of, register, registered, run_agents
from arml.errors import ArmlError
from tools import sweep as tool

sys.path.insert(0, str(ROOT / 'tests' / 'tracking'))
from loopback import ENTITY, PROJECT, serve  # noqa: E402
from tracked_run import environment  # noqa: E402

STUB = Path(__file__).with_name('agent_stub.py')
TEXT = """
name: {name}
program: {program}
method: grid
metric: {{name: segmentor/val/mIoU, goal: maximize}}
parameters:
{parameters}
command: ['${{env}}', python, '${{program}}', {config}, --resume, --cfg-options, '${{args_no_hyphens}}']
"""
GRID = '  train_cfg.max_epochs: {values: [2, 1]}\n  model.swv.omega: {value: 2}'


def write(folder, parameters=GRID, program=ROOT / 'tools' / 'train.py', name='table9_tiny'):
    file = folder / f'{name}.yaml'
    file.write_text(TEXT.format(name=name, program=program, parameters=parameters, config=CONFIG))
    return file


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with serve() as server, environment(**server.environment(), OMP_NUM_THREADS='1'):
        yield server
    import wandb

    wandb.teardown()


def wandb_command(*words, **options):
    return subprocess.Popen(
        [sys.executable, '-m', 'wandb', *words], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip


def test_wandb_commands__every_parameter_arrives_as_the_override_that_it_is(server, tmp_path):
    """The file as it is, ``wandb sweep`` and two ``wandb agent``, a program that says what it is given."""
    values = {
        'model.swv.omega': 'drop', 'model.lambda_': 1e-3, 'classifier.model.neck.enabled': False,
        'load_from': None, 'model.network.decode_head.pool_scales': [1, 2], 'train_cfg.max_epochs': 3,
        'classifier.train_cfg.max_epochs': [1, 2],
    }  # fmt: skip
    lines = [
        f'  {name}: {{{"values" if name.startswith("classifier.train") else "value"}: {json.dumps(value)}}}'
        for name, value in values.items()
    ]
    file = write(tmp_path, '\n'.join(lines), STUB)
    asked = wandb_command('sweep', '--project', PROJECT, '--entity', ENTITY, str(file))
    said = asked.communicate(timeout=120)[0]
    assert (asked.returncode, list(server.sweeps)) == (0, ['sweep0']), said
    assert yaml.safe_load(server.sweeps['sweep0']['text'])['command'][-1] == '${args_no_hyphens}'
    path = {'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'}
    agents = [
        wandb_command('agent', f'{ENTITY}/{PROJECT}/sweep0', env={**os.environ, **path})
        for _ in range(2)
    ]
    said = [agent.communicate(timeout=120)[0] for agent in agents]
    calls = [json.loads(call.read_text()) for call in sorted((tmp_path / 'calls').iterdir())]
    assert len(calls) == 2, said
    for call, epochs in zip(calls, (1, 2), strict=True):
        assert call['words'][:3] == [str(CONFIG), '--resume', '--cfg-options']
        found = read_options(call['words'][3:])
        assert found == {**values, 'classifier.train_cfg.max_epochs': epochs}
        assert call['environment']['WANDB_SWEEP_ID'] == 'sweep0'


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_run_agents__real_trainings_report_to_the_server_and_into_the_ledger(
    server, tiny_run, tmp_path
):
    fixed = [
        f'data_root={tiny_run.data}',
        f'store={shutil.copytree(tiny_run.store, tmp_path / "store")}',
    ]
    sweep = read_sweep(write(tmp_path))
    cells, ledger, said = cells_of(sweep, fixed), Ledger(tmp_path / 'ledger.jsonl'), []
    folder = Path('work_dirs') / 'sweeps' / sweep.name
    failed = run_agents(sweep, cells, ledger, folder, workers=2, fixed=fixed, say=said.append)
    logs = [log.read_text()[-3000:] for log in folder.glob('agent_*.log')]
    assert failed == [], logs
    assert f'wandb agent {ENTITY}/{PROJECT}/sweep0' in said[0]
    assert len(server.sweeps['sweep0']['agents']) == 2
    rows = {row['run']: row for row in ledger.rows()}
    assert set(rows) == {cell.run for cell in cells}
    assert len(server.runs) == 2
    for name, given in server.sweeps['sweep0']['given'].items():
        (row,) = [row for row in rows.values() if row['parameters'] == given]
        run = server.runs[name]
        assert run['exit'] == 0
        (first, *_) = run['upserts']
        assert (first['sweep'], first['groupName'], first['tags']) == (
            'sweep0',
            sweep.name,
            ['table9'],
        )
        assert run['config']['cell']['value'] == row['run']
        final = row['rows'][-1]['metrics']['mIoU']
        assert run['summary']['test/mIoU'] == pytest.approx(final)
        epochs = given['train_cfg.max_epochs']
        losses = [line for line in server.history(name) if 'segmentor/train/loss' in line]
        assert [line['segmentor/iter'] for line in losses] == [3 * (e + 1) for e in range(epochs)]
        assert row['work_dir'] == f'work_dirs/pipeline-{row["run"]}'
        used = {use['artifactID'] for use in server.uses}
        stages = row['stages']
        assert {
            f'a-{stage}-{stages[stage]["key"]}' for stage in ('classifier', 'pseudo_masks')
        } <= used
        key = stages['segmentor']['key']
        assert [n for n, _ in server.artifacts if n == f'segmentor-{key}']
    # What is finished is found, and no cell is added twice.
    assert (
        run_agents(sweep, cells, ledger, folder, fixed=fixed, sweep_id=f'{ENTITY}/{PROJECT}/sweep0')
        == []
    )
    assert len(ledger.rows()) == 2


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_agents__stopped_ends_agents_and_trainings(number, status, server, tmp_path):
    """Ctrl-C, or a scheduler: nothing is left running that holds a work dir, and how to go on is said."""
    sleeper = tmp_path / 'sleeper.py'
    sleeper.write_text(
        'import os, time, pathlib\n'
        'pathlib.Path("pids").mkdir(exist_ok=True)\n'
        'pathlib.Path("pids", str(os.getpid())).touch()\n'
        'time.sleep(120)\n'
    )
    sweep, said = read_sweep(write(tmp_path, program=sleeper)), tmp_path / 'said'

    def tool():
        def say(line):
            with said.open('a') as file:
                file.write(line)

        try:
            run_agents(sweep, [], Ledger(tmp_path / 'ledger.jsonl'), tmp_path / 'agents', say=say)
        except KeyboardInterrupt:
            sys.exit(130)

    process = multiprocessing.get_context('fork').Process(target=tool)
    process.start()
    pids = tmp_path / 'pids'
    wait_until(lambda: pids.is_dir() and list(pids.iterdir()), 90)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == status
    assert 'stopped. Add --sweep-id' in said.read_text()
    (training,) = [int(file.name) for file in pids.iterdir()]
    wait_until(lambda: not alive(training))


@pytest.mark.slow
def test_run_agents__a_search_of_failing_and_of_ended_cells(server, fake_tissue, tmp_path, capsys):
    """One cell fails before it has a work dir, W&B ends another early; without tracking, as a user sees it."""
    (tmp_path / 'program.py').write_text(
        'import sys, time\n'
        'print("boom", flush=True)\n'
        'sys.exit(3) if "model.lambda_=0.1" in sys.argv else time.sleep(120)\n'
    )
    server.proposals = [{'model.lambda_': lam, 'randomness.seed': 0} for lam in (0.1, 0.7)]
    server.ended.add('agentrun1')
    space = '  model.lambda_: {min: 0.0, max: 0.8}\n  randomness.seed: {value: 0}'
    file = write(tmp_path, space, tmp_path / 'program.py')
    file.write_text(file.read_text().replace('method: grid', 'method: random\nrun_cap: 2'))
    call = ['run', str(file), '--engine', 'wandb']
    call += ['--cfg-options', f'data_root={fake_tissue}', 'store=store', 'tracking=none']
    assert tool.main(call) == 1
    said = capsys.readouterr().err
    assert 'failed (exit 3): model.lambda_=0.1, randomness.seed=0; its log: ' in said
    assert said.splitlines()[-2].startswith('failed: model.lambda_=0.1, randomness.seed=0; its log')
    assert said.splitlines()[-1] == '    boom'
    ledger = Ledger('work_dirs/sweeps/table9_tiny/ledger.jsonl')
    failed, ended = ledger.rows()
    assert (failed['status'], failed['exit'], failed['log']) == ('failed', 3, ['boom'])
    assert (ended['status'], ended['parameters']['model.lambda_']) == ('pruned', 0.7)


@pytest.mark.slow
def test_run_agents__ends_when_it_is_asked_to_stop(server, tmp_path):
    sleeper = tmp_path / 'sleeper.py'
    sleeper.write_text('import time\nopen("started", "w").close()\ntime.sleep(120)\n')
    sweep, folder, said = read_sweep(write(tmp_path, program=sleeper)), tmp_path / 'agents', []
    ledger = Ledger(tmp_path / 'ledger.jsonl')
    cells = [Cell({'model.swv.omega': 2}, 'one')]

    def ask():
        wait_until(Path('started').is_file, 90)
        request_stop(folder)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        missing = run_agents(sweep, cells, ledger, folder, say=said.append)
        asked.result()
    assert (missing, ledger.rows()) == (cells, [])
    assert f'asked to stop. Add --sweep-id {ENTITY}/{PROJECT}/sweep0' in said[-1]
    (run,) = agent_runs(folder)
    assert (run.is_alive, bool(run.note['asked'])) == (False, True)


@pytest.mark.slow
def test_run_agents__agents_that_run_nothing_are_an_error(server, tmp_path):
    sweep = read_sweep(write(tmp_path))
    with pytest.raises(ArmlError, match='the agents of W&B ran nothing. They said last:'):
        run_agents(
            sweep, [], Ledger(tmp_path / 'ledger.jsonl'), tmp_path / 'agents',
            sweep_id=f'{ENTITY}/{PROJECT}/nothing', say=print,
        )  # fmt: skip


def test_registered__the_file_with_the_paths_that_were_found(tmp_path):
    sweep = read_sweep(write(tmp_path))
    found = registered(sweep, tmp_path, ['data_root=d'])
    child = str(ROOT / 'arml' / 'ablation' / 'child.py')
    assert found['command'] == [
        '${env}', 'python', '-I', child, '0', '-I', SUPERVISOR, str(tmp_path / 'agents'), '${program}',
        str(CONFIG), '--resume', '--cfg-options', '${args_no_hyphens}', 'data_root=d',
    ]  # fmt: skip
    assert found['program'] == str(ROOT / 'tools' / 'train.py')
    assert found['parameters'] == sweep.content['parameters']
    assert 'data_root=d' not in str(sweep.content)


def test_environment_of__a_sweep_and_nothing_of_one_run(tmp_path):
    sweep = read_sweep(write(tmp_path))
    mine = {'WANDB_MODE': 'offline', 'WANDB_TAGS': 'mine,table9'}
    with environment(WANDB_RUN_ID='x', WANDB_NAME='y', WANDB_RESUME='allow', **mine):
        found = environment_of(sweep, tmp_path, workers=2, gpu='1')
        of_cell = cell_environment(sweep, Cell({}, 'run'), threads=1)
    assert of_cell['WANDB_TAGS'] == 'table9,mine'
    wandb = {name: value for name, value in found.items() if name.startswith('WANDB_')}
    assert wandb == {
        'WANDB_MODE': 'offline', 'WANDB_RUN_GROUP': sweep.name, 'WANDB_TAGS': 'table9,mine',
        'WANDB_DIR': str(tmp_path),
    }  # fmt: skip
    assert found['CUDA_VISIBLE_DEVICES'] == '1'
    assert found['PATH'].startswith(str(Path(sys.executable).parent))


def test_register__raises(server, tmp_path):
    sweep = read_sweep(write(tmp_path))
    server.down = True
    with environment(**server.environment(), WANDB__GRAPHQL_RETRY_MAX='0', WANDB_HTTP_TIMEOUT='1'):
        with pytest.raises(
            ArmlError, match=r'sweep table9_tiny: W&B does not take it: .*--engine optuna'
        ):
            register(sweep, tmp_path)
