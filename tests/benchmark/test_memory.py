"""Peaks of memory are measured in processes of their own."""

import os

import pytest
import torch

from arml.benchmark.harness import MB, Harness
from arml.benchmark.memory import extra_memory
from arml.errors import ArmlError


def prepare_squares(number: int, device: torch.device):
    """Inputs that do not count, and a work that makes one tensor of their size."""
    inputs = torch.ones(number, device=device)
    return lambda: inputs * inputs


def prepare_end(device: torch.device):
    """A process that is gone."""
    os._exit(9)


@pytest.mark.parametrize('size', [16, 64])
def test_extra_memory__is_that_of_the_work_alone(size):
    found = extra_memory(prepare_squares, Harness(memory_repeats=1, threads=1), size * MB // 4)
    assert found == [pytest.approx(size, abs=2)]


def test_extra_memory__a_killed_process_is_explained():
    with pytest.raises(ArmlError, match='killed, most likely for want of memory: take a smaller'):
        extra_memory(prepare_end, Harness(memory_repeats=1))
