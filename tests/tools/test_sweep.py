"""tools/sweep.py: a sweep from its file to its table, and what a user may do wrong."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from tiny_run import CONFIG

from arml.ablation import Ledger
from arml.cli import run_tool
from arml.report.result import load_history
from tools import sweep

TEXT = """
program: {program}
method: grid
parameters:
{parameters}
command: [python, '${{program}}', {config}, --cfg-options, '${{args_no_hyphens}}']
"""
STUB = ROOT / 'tests' / 'ablation' / 'stub.py'
GRID = '  model.lambda_: {values: [0, 1e-1, 2]}\n  randomness.seed: {values: [0, 1]}'


@pytest.fixture
def tool(tmp_path, monkeypatch, capsys):
    """Run the tool in a working directory of its own; returns (status, output, error)."""
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    monkeypatch.delenv('ARML_STORAGE', raising=False)

    def write(parameters=GRID, program=STUB):
        text = TEXT.format(program=program, parameters=parameters, config=CONFIG)
        (tmp_path / 'tiny.yaml').write_text(text)

    def run(command, *arguments, data='../data', store='../store', options=()):
        call = [command, '../tiny.yaml', *arguments]
        if command in ('run', 'retry') and '--start' not in arguments:
            call += ['--start', 'fresh']
        call += ['--cfg-options', f'data_root={data}', f'store={store}', *options]
        capsys.readouterr()
        status = run_tool(lambda: sweep.main(call))
        printed = capsys.readouterr()
        assert 'Traceback' not in printed.err
        return status, printed.out, printed.err

    run.write, run.ledger = write, Ledger('work_dirs/sweeps/tiny/ledger.jsonl')
    return run


def best_of(row):
    history = load_history(Path(row['work_dir']) / row['histories']['segmentor'])
    return max(line['mIoU'] for line in history if line['kind'] == 'val')


def test_sweep__two_real_cells_from_another_folder(tool, tiny_run, tmp_path):
    """One cell is a run that the store holds, one trains the segmentor on the same masks."""
    tool.write('  train_cfg.max_epochs: {values: [3, 1]}', program='tools/train.py')
    status, _, error = tool('run')
    assert (status, 'found the program tools/train.py and' in error) == (2, True)
    tool.write('  train_cfg.max_epochs: {values: [3, 1]}', program=ROOT / 'tools' / 'train.py')
    places = {'data': tiny_run.data, 'store': shutil.copytree(tiny_run.store, tmp_path / 'store')}
    status, _, error = tool('run', '--workers', '2', '--start', 'warm', **places)
    assert status == 0, [row.get('log') for row in tool.ledger.rows()]
    assert 'tiny: 2 cells, 0 finished, 2 to run' in error
    rows = {row['parameters']['train_cfg.max_epochs']: row for row in tool.ledger.rows()}
    assert rows[3]['run'] == tiny_run.result['run']
    assert rows[3]['rows'] == tiny_run.result['rows']
    assert rows[1]['rows'] != rows[3]['rows']
    assert rows[1]['seed'] == 0
    assert rows[1]['validation'] == {
        'segmentor': {'metric': 'mIoU', 'epoch': 1, 'value': pytest.approx(best_of(rows[1]))}
    }
    assert rows[1]['data'] == tiny_run.result['data']

    status, _, error = tool('run', **places)
    assert (status, 'tiny: 2 cells, 2 finished, 0 to run' in error) == (0, True)
    status, out, _ = tool(
        'table', '--parameter', 'train_cfg.max_epochs', '--reference', '3', **places
    )
    assert (status, 'Missing' in out) == (0, False)
    line = next(line for line in out.splitlines() if line.startswith('| 1'))
    assert line.count('|') == 6


def test_sweep__failed_and_missing_cells_are_named(tool, fake_tissue, monkeypatch):
    tool.write()
    status, out, _ = tool('run', '--dry-run')
    assert status == 0
    commands = out.splitlines()
    assert len(commands) == 6
    assert f'{STUB} {CONFIG} --resume --work-dir work_dirs/sweeps/tiny/' in commands[0]
    assert '--cfg-options model.lambda_=0 randomness.seed=0 data_root=../data' in commands[0]
    assert tool.ledger.rows() == []

    table = ('table', '--parameter', 'model.lambda_', '--reference', '1e-1')
    status, _, error = tool(*table)
    assert (status, 'model.lambda_=0.1: no finished run to compare with' in error) == (2, True)

    monkeypatch.setenv('STUB_FAILS', 'model.lambda_=0 randomness.seed=1')
    status, _, error = tool('run', '--attempts', '1', '--workers', '2')
    assert status == 1
    assert 'failed: model.lambda_=0, randomness.seed=1; its log: work_dirs/sweeps/tiny/' in error
    end = ''.join(f'    line {n}\n' for n in range(26, 30)) + '    error: as it was asked for\n'
    assert error.endswith(f'/log.txt\n{end}')
    assert error.count(end) == 2  # when it was given up, and at the end
    status, out, _ = tool('status')
    assert (status, out.splitlines()[-1]) == (0, '6 cells: 5 finished, 1 failed')
    assert f' failed   model.lambda_=0, randomness.seed=1 (failed 1 times)\n{end}' in out
    status, _, error = tool('run', '--attempts', '1')
    assert (status, '5 finished, 1 failed (retry gives them new tries), 0 to run' in error) == (
        1,
        True,
    )
    status, _, error = tool('retry', '--attempts', '1')
    assert (status, '6 cells, 5 finished, 1 to run' in error) == (1, True)
    assert ' (failed 2 times)' in tool('status')[1]

    rows = [row for row in tool.ledger.rows() if row['parameters']['model.lambda_'] != 2]
    tool.ledger.path.unlink()
    for row in [*rows, {'run': 'stranger', 'status': 'finished'}]:
        tool.ledger.add(row)
    status, out, error = tool(*table)
    assert status == 0
    assert out.splitlines() == [
        '|     |   n |         mIoU |   difference to 0.1, same seeds |   pairs |',
        '|-----|-----|--------------|---------------------------------|---------|',
        '| 0.1 |   2 | 40.60 ± 0.71 |                               – |       – |',
        '| 0   |   1 |        40.00 |                           -0.10 |       1 |',
        '| 2   |   0 |            – |                               – |       0 |',
        '',
        'Missing are 3 of 6 cells:',
        '- model.lambda_=0, randomness.seed=1 (failed)',
        '- model.lambda_=2, randomness.seed=0',
        '- model.lambda_=2, randomness.seed=1',
    ]
    assert 'has 1 finished runs that are no cells of this sweep' in error
    monkeypatch.delenv('STUB_FAILS')
    status, _, error = tool('run')
    assert (status, 'tiny: 6 cells, 5 finished, 1 to run' in error) == (0, True)
    assert error.count('found finished in work_dirs/sweeps/tiny/') == 2


def test_sweep__export(tool, fake_tissue, monkeypatch):
    tool.write('  model.lambda_: {values: [0, 2]}')
    monkeypatch.setenv('STUB_FAILS', 'model.lambda_=0')
    assert tool('run', '--attempts', '1')[0] == 1
    tool.ledger.add({'run': 'stranger', 'status': 'finished', 'rows': []})
    status, out, _ = tool('export', '--to', 'csv')
    failed, finished = csv.DictReader(io.StringIO(out))
    assert status == 0
    assert (failed['status'], failed['model.lambda_'], failed['ARML: mIoU']) == ('failed', '0', '')
    assert (finished['status'], finished['model.lambda_']) == ('finished', '2')
    assert (finished['ARML: mIoU'], finished['attempt']) == ('42.0', '1')
    status, out, _ = tool('export', '--to', 'json', '--out', 'cells.json')
    assert (status, out) == (0, '')
    rows = json.loads(Path('cells.json').read_text())
    assert [row['status'] for row in rows] == ['failed', 'finished']


def test_sweep__new_tries_for_whoever_runs_it(tool, fake_tissue, monkeypatch):
    tool.write('  model.lambda_: {values: [0, 2]}')
    monkeypatch.setenv('STUB_FAILS', 'model.lambda_=0')
    assert tool('run', '--attempts', '1')[0] == 1
    status, out, _ = tool('retry', '--no-run')
    assert (status, out) == (0, 'tiny: 1 failed cells have new tries. The command run runs them.\n')
    status, out, _ = tool('status', '--out', 'status.json')
    assert (status, out.splitlines()[-1]) == (0, '2 cells: 1 to run, 1 finished')
    found = json.loads(Path('status.json').read_text())
    assert (found['sweep'], found['counts']) == ('tiny', {'to run': 1, 'finished': 1})
    assert [(cell['title'], cell['failures']) for cell in found['cells']] == [
        ('model.lambda_=0', 1), ('model.lambda_=2', 0),
    ]  # fmt: skip
    monkeypatch.delenv('STUB_FAILS')
    assert tool('run', '--attempts', '1')[0] == 0
    assert tool('status')[1].endswith('2 cells: 2 finished\n')


def test_sweep__stop_says_what_runs(tool, fake_tissue):
    tool.write()
    status, out, _ = tool('stop')
    assert (status, 'tiny: asked its workers to stop; 0 cells are running' in out) == (0, True)
    assert tool('run')[0] == 0  # the wish was not for a worker that came later
    assert tool('status')[1].endswith('6 cells: 6 finished\n')


def test_sweep__ledger_elsewhere(tool, fake_tissue, tmp_path):
    tool.write('  model.lambda_: {value: 2}')
    assert tool('run', '--ledger', '../kept.jsonl')[0] == 0
    (row,) = [json.loads(line) for line in (tmp_path / 'kept.jsonl').read_text().splitlines()]
    assert row['parameters'] == {'model.lambda_': 2}
    assert row['fixed'] == ['data_root=../data', 'store=../store']
    assert tool('status', '--ledger', '../kept.jsonl')[1].endswith('1 cells: 1 finished\n')
    assert not tool.ledger.path.exists()
    shutil.rmtree('work_dirs')  # a clone that has the ledger alone
    tool.write('  model.lambda_: {values: [2, 0]}')
    status, _, error = tool('run', '--ledger', '../kept.jsonl')
    assert (status, 'tiny: 2 cells, 1 finished, 1 to run' in error) == (0, True)
    kept = [json.loads(line) for line in (tmp_path / 'kept.jsonl').read_text().splitlines()]
    assert [line['parameters'] for line in kept] == [{'model.lambda_': 2}, {'model.lambda_': 0}]
    out = tool('export', '--to', 'csv', '--ledger', '../kept.jsonl')[1]
    assert [line['ARML: mIoU'] for line in csv.DictReader(io.StringIO(out))] == ['42.0', '40.0']


def test_sweep__heartbeats_are_leaves_of_no_key(tool, fake_tissue, monkeypatch):
    """Of the config for all workers, or of the sweep file; the command line of one worker wins."""
    found = []

    def run_sweep(work, cells, how):
        found.append((how.heartbeat, how.grace, [cell.run for cell in cells]))
        return []

    monkeypatch.setattr('arml.ablation.run.run_sweep', run_sweep)
    tool.write('  model.lambda_: {values: [0, 2]}')
    assert tool('run')[0] == 0
    assert tool('run', options=['sweep.heartbeat=5', 'sweep.grace=20'])[0] == 0
    assert tool('run', '--grace', '30', options=['sweep.heartbeat=5', 'sweep.grace=20'])[0] == 0
    runs = found[0][2]
    assert found == [(60, 180, runs), (5, 20, runs), (5, 30, runs)]
    tool.write('  model.lambda_: {values: [0, 2]}\n  sweep.heartbeat: {value: 7}')
    assert tool('run', options=['sweep.grace=20'])[0] == 0
    assert found[-1] == (7, 20, runs)
    status, _, error = tool('run', options=['sweep.heart=5'])
    assert (status, 'sweep.heart' in error) == (2, True)


def test_sweep__errors(tool, fake_tissue, capsys):
    status, _, error = tool('run')
    assert (status, 'tiny.yaml: cannot be read' in error) == (2, True)
    tool.write()
    status, _, error = tool('run', '--storage', 'nonsense')
    assert (status, '--storage nonsense: is no URL' in error) == (2, True)
    status, _, error = tool('status', data='../nowhere')
    assert (status, '../nowhere' in error) == (2, True)
    status, _, error = tool('table', '--parameter', 'model.lamda_', '--reference', '0')
    assert (status, 'model.lamda_=0: no finished run' in error) == (2, True)
    tool.write('  model.lamda_: {value: 2}')
    status, _, error = tool('run')
    assert (status, 'Did you mean model.lambda_' in error) == (2, True)
    for value in ('0', '-1', 'x', '1.5'):
        with pytest.raises(SystemExit, match='2'):
            sweep.main(['run', 'x.yaml', '--workers', value])
        assert f'found {value!r}, expected a whole number from 1' in capsys.readouterr().err
    for value in ('', '0,', '1,1'):
        with pytest.raises(SystemExit, match='2'):
            sweep.main(['run', 'x.yaml', '--gpus', value])
        assert f'found {value!r}, expected names of GPUs' in capsys.readouterr().err


def test_sweep__help(capsys):
    for command in ('run', 'retry', 'status', 'stop', 'table', 'export'):
        with pytest.raises(SystemExit, match='0'):
            sweep.main([command, '--help'])
        text = capsys.readouterr().out
        assert '--ledger' in text
        assert '--cfg-options' in text
    with pytest.raises(SystemExit, match='2'):
        sweep.main([])
