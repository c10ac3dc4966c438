"""Leaves of a stage that are set from the product of another: masks, and a start from the classifier."""

import pytest
import torch
from tiny_run import load, shared_run

from arml.engine import checkpoint as checkpoints
from arml.errors import ConfigError
from arml.pipeline.run import build_stages
from arml.pipeline.store import Store
from arml.registry import MODELS


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return shared_run(tmp_path_factory)


def segmentor(config):
    return {stage.name: stage for stage in build_stages(config)}['segmentor']


def test_bind__backbones_start_from_the_classifier_and_heads_apart(run):
    config = run.load()
    stage = segmentor(config)
    store = Store(config.store)
    keys, products = {}, {}
    for before in build_stages(config)[:2]:
        keys[before.name] = before.key(keys)
        products[before.name] = store.find(before.name, keys[before.name])
    settings = stage.bound({'model': config.model.to_dict(), **_loader(config)}, products)
    model = MODELS.build(settings['model'])
    model.init_weights()
    classifier = checkpoints.load(run.checkpoint('classifier'))['state_dict']
    for network in model.networks:
        for name, value in network.backbone.state_dict().items():
            assert torch.equal(value, classifier[f'backbone.{name}']), name
    first, second = (network.decode_head.conv_seg.weight for network in model.networks[:2])
    assert not torch.equal(first, second)


def _loader(config):
    return {'train_dataloader': config.train_dataloader.to_dict()}


def test_bind__a_part_that_is_switched_off_takes_nothing(run):
    stage = segmentor(run.load(**{'model.network.backbone.init_cfg': None}))
    assert list(stage.bind) == ['train_dataloader.dataset.masks']
    assert segmentor(run.load()).needs == ['pseudo_masks', 'classifier']


@pytest.mark.parametrize(
    ('leaf', 'value'),
    [
        ('train_dataloader.dataset.masks', 'dense'),
        ('model.network.backbone.init_cfg.checkpoint', 'other.pth'),
    ],
)
def test_bind__a_value_that_the_product_would_replace_is_refused(tmp_path, leaf, value):
    config = load(tmp_path / 'data', tmp_path / 'store', **{leaf: value})
    with pytest.raises(ConfigError, match=f"{leaf}: found '{value}', but the pipeline sets it"):
        build_stages(config)


def test_bind__pretrained_without_a_file_names_the_leaf():
    from arml.errors import CheckpointError

    backbone = dict(
        type='arml.TimmBackbone',
        model_name='resnet18',
        out_indices=(1,),
        pretrained=False,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    )
    with pytest.raises(CheckpointError, match=r'init_cfg\.checkpoint: found None'):
        MODELS.build(backbone).init_weights()
