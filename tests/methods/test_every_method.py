"""Every method that can run on two cores: two iterations of each stage, stopped in between, resumed, tested."""

import contextlib

import pytest
from conftest import ROOT, write_fake_tissue
from stopping import Stopped, stop_once_in_each_stage

from arml.config import load_config
from arml.config.tree import nodes
from arml.pipeline import run_pipeline

#: The configs for EBHI; those for the synthetic tissue differ in the data set alone.
METHODS = sorted((ROOT / 'configs').rglob('*_tiny_ebhi.py'))
#: Files that name other configs, or are only the first stage of one.
NOT_ALONE = ('table1_', 'classifier_')
TINY = [
    pytest.param(file, id=str(file.relative_to(ROOT / 'configs')), marks=marks)
    for file in METHODS
    if '_base_' not in file.parts and not file.name.startswith(NOT_ALONE)
    # Full supervision is one setting of all baselines: one of them stands for it in the default tests.
    for marks in [
        [pytest.mark.slow]
        if file.parent.name == 'full_supervision' and 'pspnet' not in file.name
        else []
    ]
]

SMALL = (32, 32)


def load_small(file, given):
    """A config whose tiles enter as they are drawn, 32 pixels a side."""
    config = load_config(file, given, for_run=True)
    for _, node in nodes(config._cfg_dict):
        if isinstance(node, dict) and node.get('type') == 'Resize':
            node['scale'] = SMALL
    for section in (config, config.get('classifier') or {}):
        if 'input_size' in section:
            section['input_size'] = SMALL
    return config


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """Data and store of all methods: a classifier that several learn from is trained once."""
    folder = tmp_path_factory.mktemp('methods')
    return write_fake_tissue(folder / 'data'), folder / 'store'


@pytest.mark.parametrize('file', TINY)
def test_every_method__runs_two_iterations_of_each_stage_and_resumes(
    file, shared, tmp_path, monkeypatch, capfd
):
    given = {
        'data_root': str(shared[0]), 'store': str(shared[1]), 'train_dataloader.batch_size': 12,
        'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 1, 'tile_size': SMALL,
    }  # fmt: skip
    config = load_config(file, for_run=True)
    if 'classifier' in config:
        given['classifier.tile_size'] = SMALL
        given['classifier.train_dataloader.batch_size'] = 12
        given['classifier.train_cfg.max_epochs'] = 2
        given['classifier.train_cfg.val_interval'] = 2
        # What joins the training later does so in its second epoch.
        parts = (path for path, _ in nodes(config.classifier.model, 'classifier.model'))
        given |= {path: 1 for path in parts if path.endswith('.start_epoch')}
    trainings = {stage['name'] for stage in config.pipeline if stage['type'] == 'arml.TrainStage'}
    stopped = stop_once_in_each_stage(monkeypatch)
    result = None
    while result is None:  # ends: each stage is stopped once
        with contextlib.suppress(Stopped):
            result = run_pipeline(load_small(file, given), tmp_path / 'work', resume=True)
    reused = {
        name for name in trainings if result['stages'][name]['reused'] and name not in stopped
    }
    assert set(stopped) == trainings - reused
    assert 'segmentor' in stopped
    assert ''.join(capfd.readouterr()).count('resumed epoch') >= len(stopped)
    final = result['rows'][-1]
    assert final['split'] == 'test'
    assert 0 <= final['metrics']['mIoU'] <= 100
    assert set(final['metrics']) >= {'IoU.ADC', 'mDice', 'ACC'}
