"""Optimiser groups of the classifier."""

import pytest
import torch
from torch import nn

from arml.engine.optim import CAMOptimWrapperConstructor
from arml.errors import ConfigError
from arml.models.backbones.resnet38 import ResNet38d
from arml.models.classifiers.head import LinearMapHead
from arml.models.necks.ars import ARSNeck
from arml.registry import OPTIM_WRAPPER_CONSTRUCTORS

SGD = {'type': 'SGD', 'lr': 0.01, 'weight_decay': 5e-4, 'momentum': 5e-4}


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 4))
        self.backbone[1].weight.requires_grad_(False)
        self.neck = ARSNeck(4, reactivation='released')
        self.head = LinearMapHead(2, 4)


def build(model: nn.Module, **paramwise) -> torch.optim.Optimizer:
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        {
            'type': 'arml.CAMOptimWrapperConstructor',
            'optim_wrapper_cfg': {'type': 'OptimWrapper', 'optimizer': SGD},
            'paramwise_cfg': paramwise or None,
        }
    )
    return constructor(model).optimizer


def owners(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, list[str]]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        group['group_name']: [names[parameter] for parameter in group['params']]
        for group in optimizer.param_groups
    }


def test_optim__every_trainable_parameter_in_exactly_one_group():
    model = Toy()
    grouped = [name for names in owners(model, build(model)).values() for name in names]
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trainable)
    assert 'neck.gamma' in grouped
    assert 'neck.reactivation.mlp.0.weight' in grouped
    assert 'backbone.1.weight' not in grouped


def test_optim__full_size_classifier_is_covered():
    with torch.device('meta'):
        model = nn.Module()
        model.backbone, model.neck = ResNet38d(), ARSNeck(4096)
        model.head = LinearMapHead(4, 4096)
    grouped = owners(model, build(model))
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for names in grouped.values() for name in names} == trainable
    assert not any(n.startswith(('backbone.conv1a', 'backbone.b2')) for n in trainable)
    assert not any('.bn' in name for name in trainable)


def test_optim__rates_and_decays():
    model = Toy()
    groups = {g['group_name']: g for g in build(model).param_groups}
    rates = {name: group['lr'] / 0.01 for name, group in groups.items()}
    assert rates == pytest.approx(
        {
            'backbone.weight': 1,
            'backbone.bias': 2,
            'neck.weight': 10,
            'neck.bias': 20,
            'head.weight': 10,
        }
    )
    for name, group in groups.items():
        assert group['weight_decay'] == (0 if name.endswith('bias') else 5e-4)
        assert group['momentum'] == 5e-4


def test_optim__multipliers_are_leaves():
    model = Toy()
    optimizer = build(
        model,
        lr_mult={'neck': 1.0, 'backbone.2': 3.0},
        bias_lr_mult=1.0,
        bias_decay_mult=0.5,
    )
    groups = {g['group_name']: g for g in optimizer.param_groups}
    assert groups['neck.weight']['lr'] == pytest.approx(0.01)
    assert groups['head.weight']['lr'] == pytest.approx(0.1)
    assert groups['backbone.2.weight']['lr'] == pytest.approx(0.03)
    assert groups['neck.bias']['weight_decay'] == pytest.approx(2.5e-4)
    assert owners(model, optimizer)['backbone.2.weight'] == ['backbone.2.weight']


def test_optim__sees_through_a_wrapper():
    model = Toy()
    wrapper = nn.Module()
    wrapper.module = model
    assert owners(model, build(wrapper)) == owners(model, build(model))


def test_optim__refuses():
    model = Toy()
    model.decoder = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match='parameter decoder.weight is in no optimiser group'):
        build(model)
    with pytest.raises(ConfigError, match='found custom_keys'):
        build(Toy(), custom_keys={})
    with pytest.raises(ConfigError, match='lr_mult.head: found -1'):
        build(Toy(), lr_mult={'head': -1})
    with pytest.raises(ConfigError, match='no trainable parameter'):
        build(Toy().requires_grad_(False))
    with pytest.raises(ConfigError, match='lr is missing'):
        CAMOptimWrapperConstructor({'optimizer': {'type': 'SGD'}})
