"""Schedules of one optimiser or several survive a checkpoint."""

import pytest
import torch
from mmengine.optim import LinearLR, PolyLR

from arml.engine.runner import _load_schedules, _schedule_states
from arml.errors import CheckpointError


def schedules(steps: int, several: bool):
    def make(kind):
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = kind(optimiser, begin=0, end=10)
        for _ in range(steps):
            optimiser.step()
            schedule.step()
        return schedule

    if several:
        return {'a': [make(PolyLR)], 'b': [make(LinearLR), make(PolyLR)]}
    return [make(PolyLR), make(LinearLR)]


@pytest.mark.parametrize('several', [False, True])
def test_schedules__there_and_back(several):
    states = _schedule_states(schedules(3, several))
    fresh = schedules(0, several)
    _load_schedules(fresh, states, 'x.pth')
    assert _schedule_states(fresh) == states
    assert _schedule_states(schedules(0, several)) != states


@pytest.mark.parametrize('states', [[], {}, {'a': [], 'b': []}])
def test_schedules__of_another_kind(states):
    with pytest.raises(CheckpointError, match='x.pth: cannot be resumed from, its param_scheduler'):
        _load_schedules(schedules(0, False), states, 'x.pth')
    with pytest.raises(CheckpointError, match='cannot be resumed from'):
        _load_schedules(schedules(0, True), states, 'x.pth')
