"""Three networks stacked as one compute what they compute in turns."""

import pytest
import torch
from conftest import ROOT
from torch import nn

from arml.benchmark.harness import Harness
from arml.benchmark.networks import build, random_masks, settings_of
from arml.benchmark.stacked import passes
from arml.benchmark.train_step import run
from arml.errors import ConfigError

TINY = str(ROOT / 'configs' / 'arml_tiny_synthetic.py')


def test_passes__same_loss_and_the_work_of_three():
    torch.manual_seed(0)
    networks = build(settings_of(TINY, None, None)['model']).networks.train()
    for module in networks.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    inputs, target = torch.randn(2, 3, 64, 64), random_masks(2, 4, 64, torch.device('cpu'))
    stacked, in_turns = passes(networks, inputs, target)
    before = [p.detach().clone() for p in networks.parameters()]
    first = stacked()
    assert all(p.grad is None for p in networks.parameters())  # the stacked ones are copies
    second = in_turns()
    assert torch.allclose(first, second, rtol=1e-4)
    assert all(p.grad is not None for p in networks.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, networks.parameters(), strict=True))


def test_run__one_network_cannot_be_stacked():
    options = {'model.num_networks': 1}
    with pytest.raises(ConfigError, match=r'--stacked, but model\.num_networks is 1'):
        run(Harness(repeats=1, warmup=0), TINY, options, batch=2, size=32, stacked=True)
