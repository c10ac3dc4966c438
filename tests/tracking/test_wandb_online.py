"""The real SDK online, against a server on the loopback interface that may go away."""

import json
import shutil
import time

import pytest
from loopback import serve
from tracked_run import (
    ITERATIONS,
    OFFLINE,
    Crash,
    at_iteration,
    crash,
    environment,
    history_of,
    result_of,
    run,
    same,
)

from arml.tracking import export_ledger


@pytest.fixture(scope='module')
def server():
    with serve() as server:
        yield server


@pytest.fixture(scope='module')
def folder(tmp_path_factory, tiny_run, server):
    """A run that crashed in the second epoch of its segmentor, had not sent all, and was resumed."""
    folder = tmp_path_factory.mktemp('online')
    with environment(**{**OFFLINE, **server.environment()}):
        with at_iteration(ITERATIONS + 1, crash), pytest.raises(Crash):
            run(tiny_run, folder, train_cfg__max_epochs=2)
        (server.crashed,) = [kept['exit'] for kept in server.runs.values()]
        forget_segmentor(server)
        assert run(tiny_run, folder, resume=True, train_cfg__max_epochs=2) == 0
    return folder


def forget_segmentor(server):
    """As if the process had been killed before it had sent its last points."""
    (kept,) = server.runs.values()
    lines = [json.loads(line) for line in kept['history']]
    begin = next(n for n, line in enumerate(lines) if 'segmentor/train/loss' in line)
    gone = {name for line in lines[begin:] for name in line}
    assert 'classifier/iter' not in gone
    del kept['history'][begin:]
    kept['summary'] = {name: x for name, x in kept['summary'].items() if name not in gone}


def test_online__a_resumed_training_goes_on_in_its_run_and_repeats_nothing(server, folder):
    ((name, kept),) = server.runs.items()
    assert (server.crashed, kept['exit']) == (1, 0)
    lines = server.history(name)
    assert [line['_step'] for line in lines] == list(range(len(lines)))
    for stage, kind, score in (
        ('classifier', 'val', 'mIoU'), ('segmentor', 'train', 'loss'), ('segmentor', 'val', 'mIoU'),
    ):  # fmt: skip
        rows = [row for row in history_of(folder, stage) if row['kind'] == kind]
        curve = f'{stage}/{kind}/{score}'
        found = [(line[f'{stage}/iter'], line[curve]) for line in lines if curve in line]
        assert same(found, [(row['iter'], row[score]) for row in rows])
    assert kept['summary']['test/mIoU'] == result_of(folder)['rows'][-1]['metrics']['mIoU']


def test_online__artifacts_have_a_graph(server, folder):
    """The run uses what it found and logs what it made."""
    stages = result_of(folder)['stages']
    made = {name: kept for (name, _), kept in server.artifacts.items()}
    found = [f'{stage}-{stages[stage]["key"]}' for stage in ('classifier', 'pseudo_masks')]
    assert {use['artifactID'] for use in server.uses} == {f'a-{name}' for name in found}
    segmentor = made[f'segmentor-{stages["segmentor"]["key"]}']
    assert segmentor['by'] in server.runs
    assert segmentor['artifactTypeName'] == 'model'


class Named:
    tags = ('table3',)

    def __init__(self, name):
        self.name = name


def test_export__online_and_an_equal_cell_of_a_second_sweep_is_the_same_run(server, folder):
    row = {
        **result_of(folder),
        'status': 'finished',
        'parameters': {},
        'work_dir': str(folder / 'work'),
    }
    used = [use['artifactID'] for use in server.uses]
    with environment(**{**OFFLINE, **server.environment(), 'WANDB_TAGS': 'mine,table3'}):
        del server.uses[:]
        assert export_ledger([row], Named('first')) == 1
        assert {use['artifactID'] for use in server.uses} == set(used)
        assert {use['runName'] for use in server.uses} == {row['run']}
        kept = server.runs[row['run']]
        assert kept['exit'] == 0
        assert kept['summary']['test/mIoU'] == row['rows'][-1]['metrics']['mIoU']
        count = len(kept['history'])
        assert [line['_step'] for line in server.history(row['run'])] == list(range(count))
        assert export_ledger([row], Named('second')) == 1
    assert len(kept['history']) == count
    assert list(dict.fromkeys(told['groupName'] for told in kept['upserts'] if told['groupName'])) == [
        'first', 'second',
    ]  # fmt: skip
    assert kept['upserts'][0]['tags'] == ['table3', 'mine']


@pytest.mark.slow
def test_online__a_server_that_goes_away_costs_its_patience_and_no_more(
    server, folder, tiny_run, tmp_path, capsys
):
    shutil.copytree(folder / 'store', tmp_path / 'store', symlinks=True)
    segmentor = result_of(folder)['stages']['segmentor']['key']
    shutil.rmtree(tmp_path / 'store' / 'segmentor' / segmentor)  # is trained again
    variables = {**OFFLINE, **server.environment(), 'WANDB_FINISH_TIMEOUT': '2'}
    with environment(**variables):
        try:
            with at_iteration(1, lambda: setattr(server, 'down', True)):
                began = time.monotonic()
                assert run(tiny_run, tmp_path, train_cfg__max_epochs=2) == 0
                took = time.monotonic() - began - result_of(tmp_path)['seconds']
        finally:
            server.down = False
    assert result_of(tmp_path)['rows'] == result_of(folder)['rows']
    assert took < 40  # pictures and the end; W&B by itself asks for each artifact and table anew
    error = capsys.readouterr().err
    assert 'product: TimeoutError: no answer in 2 s' in error
    assert error.count('W&B tracking is off') == 1
    (kept,) = (tmp_path / 'work' / 'wandb').glob('run-*/run-*.wandb')
    assert kept.stat().st_size > 10_000  # for wandb sync


def test_online__no_server_from_the_start_is_a_warning(folder, tiny_run, tmp_path, capsys):
    shutil.copytree(folder / 'store', tmp_path / 'store', symlinks=True)
    nobody = {
        'WANDB_BASE_URL': 'http://127.0.0.1:9',
        'WANDB_API_KEY': 'f' * 40,
        'WANDB_INIT_TIMEOUT': '3',
    }
    with environment(**{**OFFLINE, **nobody, 'WANDB_MODE': 'online'}):
        assert run(tiny_run, tmp_path, train_cfg__max_epochs=2) == 0
    error = capsys.readouterr().err
    assert error.count('W&B tracking is off from here, the training goes on. begin:') == 1
    assert result_of(tmp_path)['rows'] == result_of(folder)['rows']
