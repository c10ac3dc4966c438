"""Parts of a config: what no stage reads is not there, loaders and schedules are made to fit."""

import pytest
import torch
from conftest import ROOT

from arml.config import load_config
from arml.config.parts import loaders_in, schedulers_of, unread_parts
from arml.errors import ConfigError

CONFIGS = ROOT / 'configs'
TINY = CONFIGS / 'arml_tiny_synthetic.py'


@pytest.mark.parametrize(
    ('name', 'path'),
    [
        ('classifier_resnet38_bcss', 'model.lambda_'),
        ('classifier_resnet38_bcss', 'train_dataloader.batch_size'),
        ('classifier_resnet38_bcss', 'test_evaluator.protocols'),
        ('classifier_resnet38_bcss', 'input_size'),
        ('classifier_resnet38_bcss', 'pseudo_masks.dataloader.batch_size'),
        ('classifier_resnet38_bcss', 'load_from'),
        ('baselines/full_supervision/pspnet_tiny_synthetic', 'pseudo_masks.rule.normalisation'),
        ('baselines/full_supervision/pspnet_tiny_synthetic', 'pseudo_masks.maps.flips'),
    ],
)
def test_parts__override_of_what_no_stage_reads(name, path):
    with pytest.raises(
        ConfigError, match=f'override {path}: (no stage of the pipeline|there is no)'
    ):
        load_config(CONFIGS / f'{name}.py', {path: 3}, for_run=True)


def test_parts__what_no_stage_reads_is_left_out():
    one = load_config(CONFIGS / 'baselines/full_supervision/pspnet_tiny_synthetic.py', for_run=True)
    assert 'pseudo_masks' not in one
    assert {'model', 'classifier'} <= set(one)
    other = load_config(CONFIGS / 'classifier_resnet38_bcss.py', for_run=True)
    assert {'train_dataloader', 'test_dataloader', 'val_cfg', 'pseudo_masks'}.isdisjoint(other)
    assert other.classifier.train_dataloader.batch_size == 20
    assert 'pseudo_masks' in load_config(CONFIGS / 'classifier_resnet38_bcss.py')  # for other tools


def test_parts__a_whole_pipeline_reads_all():
    config = load_config(TINY)
    assert unread_parts(config) == []
    assert load_config(TINY, for_run=True).to_dict() == config.to_dict()
    config.pipeline[0].type = 'arml.Unknown'
    assert unread_parts(config) == []


def test_parts__schedule_by_iterations_needs_an_end_of_its_own():
    warm = {'type': 'LinearLR', 'by_epoch': False, 'start_factor': 0.1}
    with pytest.raises(ConfigError, match='LinearLR: counts iterations .* has no end'):
        load_config(TINY, {'param_scheduler': [warm]})
    config = load_config(TINY, {'param_scheduler': [{**warm, 'end': 16}, {'type': 'PolyLR'}]})
    assert [s.end for s in config.param_scheduler] == [16, 16]


def test_parts__end_in_iterations_is_not_taken_for_the_last_epoch(tmp_path):
    warm = {'type': 'LinearLR', 'by_epoch': False, 'end': 16}
    first = load_config(TINY, {'param_scheduler': [warm], 'train_cfg.max_epochs': 16})
    (tmp_path / 'config.py').write_text(first.pretty_text)
    again = load_config(tmp_path / 'config.py', {'train_cfg.max_epochs': 3})
    assert again.param_scheduler[0].end == 16


def test_parts__schedules_by_optimiser():
    one, two = {'type': 'PolyLR'}, {'type': 'StepLR'}
    assert schedulers_of({'param_scheduler': one}) == [one]
    assert schedulers_of({'param_scheduler': {'a': [one], 'b': two}}) == [one, two]
    assert schedulers_of({}) == schedulers_of({'param_scheduler': None}) == []


def test_parts__no_persistent_workers_where_there_are_none():
    config = load_config(
        CONFIGS / 'arml_resnet38_bcss.py',
        {'train_dataloader.num_workers': 0, 'train_dataloader.prefetch_factor': 4},
    )
    assert config.train_dataloader.persistent_workers is False
    assert config.train_dataloader.prefetch_factor is None
    assert config.val_dataloader.persistent_workers is True


@pytest.mark.parametrize('gpu', [False, True])
def test_parts__memory_is_pinned_for_a_gpu_only(monkeypatch, gpu):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    config = load_config(CONFIGS / 'arml_resnet38_bcss.py')
    pinned = [
        loader['pin_memory'] for loader in loaders_in(config._cfg_dict) if 'pin_memory' in loader
    ]
    assert len(pinned) == 6
    assert set(pinned) == {gpu}
