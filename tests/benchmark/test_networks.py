"""Networks of configs with random weights, and what they are run on."""

import pytest
import torch
from conftest import ROOT
from mmengine.optim import OptimWrapper
from torch import nn

from arml.benchmark.networks import (
    Step,
    Variant,
    hold_state,
    random_masks,
    samples_of,
    settings_of,
)
from arml.errors import ConfigError

TINY = ROOT / 'tests' / 'conf' / 'pipeline.py'
FULL = ROOT / 'configs' / 'arml_resnest101_bcss.py'
CPU = torch.device('cpu')


def test_random_masks__are_patches_with_ignored_pixels():
    masks = random_masks(2, 4, 40, CPU)
    assert masks.shape == (2, 40, 40)
    assert set(masks.unique().tolist()) <= {0, 1, 2, 3, 255}
    assert 0.01 < (masks == 255).float().mean() < 0.1
    assert masks[0, :16, :16].unique().numel() == 2


@pytest.mark.parametrize('section', [None, 'classifier'])
def test_settings_of__needs_no_weights(section):
    settings = settings_of(FULL, None, section)
    assert 'Pretrained' not in str(settings['model'])
    assert settings['input_size'] == (224, 224)
    assert type(settings['model']) is dict


def test_settings_of__without_an_optimiser(tmp_path):
    file = tmp_path / 'config.py'
    file.write_text("randomness = dict(seed=0)\nmodel = dict(type='arml.MultiLabelClassifier')\n")
    with pytest.raises(ConfigError, match='there is no optim_wrapper at the top level'):
        settings_of(file, None, None)


def test_hold_state__makes_gradients_and_the_optimisers_state():
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    hold_state(OptimWrapper(optimizer))
    assert all(p.grad is not None and not p.grad.any() for p in layer.parameters())
    assert len(optimizer.state) == 2


@pytest.mark.parametrize('variant', [Variant(), Variant(channels_last=True, amp='bf16')], ids=str)
def test_step__trains(variant, capsys):
    step = Step(settings_of(TINY, None, None), variant, CPU)
    assert capsys.readouterr().err == ''
    step.load(torch.randn(2, 3, 32, 32), samples_of(random_masks(2, 4, 32, CPU), [(), ()]))
    before = [p.detach().clone() for p in step.model.parameters()]
    assert step().isfinite()
    assert any(not a.equal(b) for a, b in zip(before, step.model.parameters(), strict=True))


def test_variant__compiles_backbones_and_heads():
    step = Step(settings_of(TINY, None, None), Variant(compile=True), CPU)
    network = step.model.networks[1]
    assert network.backbone._compiled_call_impl is not None
    assert network.decode_head._compiled_call_impl is not None
    assert network.decode_head.conv_seg._compiled_call_impl is None


def test_variant__refuses_half_precision_on_a_cpu():
    with pytest.raises(ConfigError, match='--amp: found fp16 on cpu, expected bf16 or a GPU'):
        Variant(amp='fp16').check(CPU)
    assert not Variant()
    assert str(Variant(compile=True, amp='bf16')) == 'compile, bf16'
