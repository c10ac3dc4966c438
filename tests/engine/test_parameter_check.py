"""Every trainable parameter trains, or the training is refused."""

import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from arml.engine.hooks import ParameterCheckHook
from arml.errors import ConfigError


class Net(nn.Module):
    """A factor that starts at 0 before one layer, and a layer that is never used."""

    def __init__(self, unused=False, gamma_trained=True):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(3, 3)
        self.gamma = nn.Parameter(torch.zeros(1), requires_grad=gamma_trained)
        self.last = nn.Linear(3, 1)
        if unused:
            self.spare = nn.Linear(2, 2)

    def forward(self, x):
        return self.last(x + self.gamma * self.first(x))


def run(net, hook, steps, parameters=None, epochs=1):
    optimizer = torch.optim.SGD(parameters or net.parameters(), lr=0.1)
    runner = SimpleNamespace(
        model=net, optim_wrapper=SimpleNamespace(optimizer=optimizer), epoch=0,
        logger=logging.getLogger('test_parameter_check'),
    )  # fmt: skip
    hook.before_train(runner)
    generator = torch.Generator().manual_seed(1)
    for epoch in range(epochs):
        runner.epoch = epoch
        for module in net.modules():
            if hasattr(module, 'set_epoch'):
                module.set_epoch(epoch)
        for step in range(steps):
            hook.before_train_iter(runner, step)
            optimizer.zero_grad()
            net(torch.randn(4, 3, generator=generator)).square().mean().backward()
            optimizer.step()
            hook.after_train_iter(runner, step)
    hook.after_train(runner)
    return hook


def test_check__a_factor_from_zero_starves_only_the_first_iteration():
    net = Net()
    hook = run(net, ParameterCheckHook(iterations=8), 3)
    assert hook._watch is None
    assert all(not p._backward_hooks for p in net.parameters())
    with pytest.raises(
        ConfigError, match=r'gradient of first\.weight, first\.bias was exactly zero'
    ):
        run(Net(), ParameterCheckHook(iterations=1), 1)


def test_check__a_dead_attention_is_found():
    """The released code of ARML: gamma is not trained, so what it scales never learns."""
    with pytest.raises(ConfigError, match=r'first\.weight, first\.bias .* first 5 iterations'):
        run(Net(gamma_trained=False), ParameterCheckHook(iterations=5), 9)


def test_check__exceptions_are_listed():
    hook = ParameterCheckHook(iterations=5, exceptions=['spare.*'])
    run(Net(unused=True), hook, 6)
    with pytest.raises(
        ConfigError, match=r'spare\.weight, spare\.bias was exactly zero.*exceptions'
    ):
        run(Net(unused=True), ParameterCheckHook(iterations=5), 6)


def test_check__a_parameter_in_no_group():
    net = Net()
    given = [p for name, p in net.named_parameters() if name != 'gamma']
    with pytest.raises(ConfigError, match=r'gamma can be trained .*is in no group'):
        run(net, ParameterCheckHook(), 1, given)
    run(Net(), ParameterCheckHook(exceptions=['gamma']), 0, None)


def test_check__a_parameter_in_two_groups():
    net = Net()
    optimizers = [torch.optim.SGD(net.parameters(), lr=1) for _ in range(2)]
    wrappers = {str(i): SimpleNamespace(optimizer=o) for i, o in enumerate(optimizers)}
    runner = SimpleNamespace(model=net, optim_wrapper=SimpleNamespace(optim_wrappers=wrappers))
    with pytest.raises(ConfigError, match=r'gamma, .* is in several groups'):
        ParameterCheckHook().before_train(runner)


def test_check__a_short_training_is_warned(caplog):
    with caplog.at_level(logging.WARNING):
        run(Net(gamma_trained=False), ParameterCheckHook(iterations=50), 3)
    assert 'after 3 iterations the gradient of first.weight, first.bias' in caplog.text


class Part(nn.Module):
    """Joins late, and then passes on what it is given, or nothing."""

    start_epoch = 1

    def __init__(self, factor):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.factor = factor
        self.on = False

    def set_epoch(self, epoch):
        self.on = epoch >= self.start_epoch

    def forward(self, x):
        return self.factor * self.layer(x) if self.on else x


class Late(Net):
    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.part = Part(factor)

    def forward(self, x):
        return super().forward(self.part(x))


def test_check__a_part_that_joins_late_is_looked_for_from_then_on():
    hook = run(Late(), ParameterCheckHook(iterations=4), 6, epochs=2)
    assert hook._watch is None
    with pytest.raises(ConfigError, match=r'part\.layer\.weight'):
        run(Late(factor=0.0), ParameterCheckHook(iterations=4), 6, epochs=2)


def test_check__what_does_not_wait_for_a_late_part_is_found_before_it():
    net = Late(unused=True)
    with pytest.raises(ConfigError, match=r'spare\.weight, spare\.bias was exactly zero'):
        run(net, ParameterCheckHook(iterations=4), 5, epochs=1)


def test_check__a_training_that_ends_before_a_part_joins_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        run(Late(), ParameterCheckHook(iterations=4), 6, epochs=1)
    assert 'join in epoch 2, which this training did not reach' in caplog.text
    assert 'part.layer' not in caplog.text


@pytest.mark.parametrize('value', [0, True, 2.5])
def test_check__iterations(value):
    with pytest.raises(ConfigError, match=r'parameter_check\.iterations: found'):
        ParameterCheckHook(iterations=value)
