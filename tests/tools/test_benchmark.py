"""tools/analysis_tools/benchmark.py on tiny sizes, from the command line to the JSON file."""

import json

import pytest
import torch
from conftest import ROOT

from arml.cli import run_tool
from tools.analysis_tools.benchmark import main

TINY = str(ROOT / 'tests' / 'conf' / 'pipeline.py')
QUICK = ['--repeats', '2', '--warmup', '1', '--least-seconds', '0', '--memory-repeats', '1']
QUICK += ['--threads', '1']
STATES = {'median', 'min', 'max', 'values'}


@pytest.fixture
def measured(tmp_path, capsys):
    """Run a benchmark; return its JSON and what it printed."""

    def run(*arguments, device='cpu'):
        out = tmp_path / 'out.json'
        assert main([*arguments, *QUICK, '--device', device, '--out', str(out)]) == 0
        result, text = json.loads(out.read_text()), capsys.readouterr().out
        assert result['benchmark'] == arguments[0]
        assert result.keys() == {'benchmark', 'command', 'settings', 'environment', 'rows', 'notes'}
        assert result['environment'].keys() >= {'commit', 'versions', 'threads', 'gpu', 'cpus'}
        assert 'torch' in result['environment']['versions']
        assert '| ratio (median, min-max)' in text.splitlines()[0]
        for row in result['rows']:
            assert row['work'] in text
            assert row.keys() == {
                'work', 'unit', 'ours', 'reference', 'ratio', 'bound', 'reached', 'note',
            }  # fmt: skip
            assert row['ours'].keys() == STATES
            if row['ratio'] is not None:
                assert row['ratio'].keys() == STATES | {'is'}
                assert len(row['ratio']['values']) == len(row['ours']['values'])
        return result, text

    return run


def bounds(result):
    return [(row['bound'] or {}).get('value') for row in result['rows']]


def test_losses__time_memory_errors(measured):
    result, _ = measured('losses', '--batch', '3', '--size', '8', '--per-tile', '4')
    assert bounds(result) == [40, None, 0.2, 1e-5, None, None, None, None, None, None]
    units = [row['unit'] for row in result['rows']]
    assert units == ['s', 's', 'MB', *['relative error'] * 4, 's', 's', 'relative error']
    # Values, not times: these hold at every size.
    assert result['rows'][3]['reached'] is True
    assert result['rows'][9]['ours']['median'] < 1e-5
    assert result['settings']['batch'] == 3


def test_pseudo_masks__same_masks(measured):
    options = ['--config', TINY, '--layers', 'net.layer2', 'features', '--size', '32']
    options += ['--tiles', '5', '--batch', '2', '--reference-tiles', '2', '--ars']
    result, text = measured('pseudo_masks', *options)
    assert bounds(result) == [10, None, 0.001, 10, None, 0.001]
    for row in result['rows'][2::3]:
        assert row['reached'] is True
    assert [row['note'].split(' masks')[0] for row in result['rows'][2::3]] == ['5', '10']
    assert 'with ARS, 32 px, ' in text


def test_pseudo_masks__without_ars_and_labels_of_a_folder(measured, fake_tissue):
    options = ['--config', TINY, '--layers', 'features', '--size', '32', '--tiles', '4']
    result, text = measured('pseudo_masks', *options, '--labels-from', str(fake_tissue))
    assert bounds(result) == [10, None, 0.001]
    assert f'without ARS, 32 px, 1.75 labelled classes a tile (labels of {fake_tissue})' in text


def test_train_step__time_and_memory(measured):
    result, text = measured('train_step', '--config', TINY, '--batch', '2', '--size', '32')
    assert bounds(result) == [1.05, 3.05]
    assert 'M parameters a network, batch 2, 32 px, plain' in text
    assert result['settings']['variant'] == 'plain'


def test_train_step__another_way_is_compared_with_the_plain_one(measured):
    options = ['--batch', '2', '--size', '32', '--channels-last', '--amp', 'bf16']
    result, _ = measured('train_step', '--config', TINY, *options)
    assert bounds(result) == [1.05, None, 3.05]
    assert result['settings']['variant'] == 'channels_last, bf16'
    assert 'channels_last, bf16; reference: without' in result['rows'][1]['work']


def test_stage1_step__with_against_without(measured):
    result, _ = measured('stage1_step', '--config', TINY, '--batch', '2', '--size', '32')
    assert ['products' in row['work'] for row in result['rows']] == [False, True, False]
    assert [row['unit'] for row in result['rows']] == ['s', 's', 'MB']


def test_dataloader__of_the_data_of_the_config(measured, fake_tissue):
    options = ['--config', TINY, '--tiles', '6', '--step']
    result, text = measured('dataloader', *options, '--cfg-options', f'data_root={fake_tissue}')
    assert bounds(result) == [None, 1, None, 1]
    assert result['rows'][0]['unit'] == 'tiles/s/core'
    assert f'stage 2: 6 tiles of {fake_tissue}, 0 workers set' in text


def test_dataloader__of_drawn_tiles(measured):
    options = ['--config', TINY, '--draw', '3', '--draw-size', '64', '--stages', '1']
    result, text = measured('dataloader', *options)
    assert len(result['rows']) == 1
    assert 'stage 1: 3 tiles of ' in text


@pytest.mark.slow
def test_sweep__start_of_a_cell_and_wall_over_own_time(measured):
    options = ['--cells', '2', '--draw', '16']
    result, text = measured('sweep', *options, '--repeats', '1', '--warmup', '0')
    works = [row['work'] for row in result['rows']]
    assert works[0] == 'start of a cell: interpreter'
    assert works[-4:] == [
        'sweep of 2 cells, 1 worker, fresh start', 'sweep of 2 cells, 1 worker, warm start',
        'sweep of 2 cells, 2 workers, fresh start', 'sweep of 2 cells, 2 workers, warm start',
    ]  # fmt: skip
    for row in result['rows'][-4:-2]:  # one after the other: no cell runs beside another
        assert row['ratio']['median'] > 1
    whole = next(row for row in result['rows'] if row['work'] == 'start of a cell: whole')
    parts = result['rows'][: works.index('start of a cell: whole')]
    total = sum(row['reference']['median'] for row in parts)
    assert whole['reference']['median'] == pytest.approx(total)
    assert 'a cell takes ' in text


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize(
    'arguments',
    [
        ['losses', '--batch', '3', '--size', '32'],
        ['train_step', '--batch', '2', '--size', '64', '--config', TINY],
        ['train_step', '--batch', '2', '--size', '64', '--config', TINY, '--amp', 'fp16'],
        ['train_step', '--batch', '2', '--size', '64', '--config', TINY, '--tf32'],
        ['stage1_step', '--batch', '2', '--size', '64', '--config', TINY, '--amp', 'bf16'],
        ['pseudo_masks', '--tiles', '2', '--size', '64'],
        ['dataloader', '--config', TINY, '--draw', '4', '--step'],
    ],
    ids=' '.join,
)
def test_benchmark__on_a_gpu(measured, arguments):
    result, _ = measured(*arguments, device='cuda')
    assert result['environment']['gpu_used']
    assert all(row['ours']['median'] >= 0 for row in result['rows'])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['losses', '--batch', '1'], '--batch: found 1, expected at least 2'),
        (['losses', '--noise', '0'], '--noise: found 0.0, expected at least'),
        (['losses', '--repeats', '0'], '--repeats: found 0, expected at least 1'),
        (['losses', '--device', 'gpu'], "device: found 'gpu', expected 'cpu' or a GPU"),
        (['train_step', '--size', '8'], '--size: found 8, expected at least 32'),
        (['train_step', '--amp', 'fp16', '--device', 'cpu'], '--amp: found fp16 on cpu'),
        (['train_step', '--config', 'none.py'], 'config none.py: no such file'),
        (['train_step', '--cfg-options', 'model.omega=3'], 'model.omega'),
        (['stage1_step', '--section', 'teacher'], "no section 'teacher'"),
        (
            ['stage1_step', '--config', TINY, '--cfg-options', 'classifier.model.neck=None'],
            'classifier.model.neck: found None, expected an arml.ARSNeck that is enabled',
        ),
        (
            ['pseudo_masks', '--config', TINY, '--cfg-options', 'classifier.model.neck=None',
             '--ars'],
            '--ars, but classifier.model has no neck',
        ),
        (
            ['pseudo_masks', '--config', TINY, '--layers', 'b9', '--size', '32'],
            "found 'b9', which TimmBackbone does not have",
        ),
        (['sweep', '--cells', '0'], '--cells: found 0, expected at least 1'),
        (['dataloader', '--stages', '3'], "--stages: found '3', expected 1, 2 or 12"),
        (['dataloader', '--draw', '-1'], '--draw: found -1, expected at least 0'),
        (
            ['dataloader', '--config', TINY, '--cfg-options', 'data_root=nowhere'],
            "data_root 'nowhere': there is no such folder",
        ),
    ],
)  # fmt: skip
def test_benchmark__refuses_bad_arguments(arguments, message, capsys):
    assert run_tool(lambda: main(arguments)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error


@pytest.mark.parametrize(
    ('work', 'message'),
    [
        ('train_step', 'model.network is missing; expected a model of type arml.MutualLearning'),
        ('dataloader', 'stage 2 has no train_dataloader'),
    ],
)
def test_benchmark__refuses_configs_without_what_it_measures(work, message, tmp_path, capsys):
    file = tmp_path / 'config.py'
    file.write_text(
        "randomness = dict(seed=0)\nmodel = dict(type='arml.MultiLabelClassifier')\n"
        "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))\n"
    )
    options = ['--stages', '2'] if work == 'dataloader' else []
    assert run_tool(lambda: main([work, '--config', str(file), *options])) == 2
    assert message in capsys.readouterr().err


def test_train_step__of_one_network_run_three_times(measured):
    options = ['--batch', '2', '--size', '32', '--cfg-options', 'model.num_networks=1']
    result, _ = measured('train_step', '--config', TINY, *options)
    assert 'one network run three times' in result['rows'][0]['work']


def test_benchmark__wants_a_work(capsys):
    with pytest.raises(SystemExit, match='2'):
        main([])
    assert 'WORK' in capsys.readouterr().err
