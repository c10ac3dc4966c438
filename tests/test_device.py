"""Names of devices as users write them."""

import pytest
import torch

from arml.device import device_of
from arml.errors import ConfigError


def test_device_of__names():
    assert device_of('cpu') == torch.device('cpu')
    assert device_of(None).type in ('cpu', 'cuda', 'mps')


@pytest.mark.parametrize('name', ['gpu', 'cuda:x', 'meta', '', 'cuda:99'])
def test_device_of__raises(name):
    with pytest.raises(ConfigError, match=f"device: found '{name}', expected 'cpu' or a GPU"):
        device_of(name)
