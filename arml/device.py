"""Where a network runs, as a user names it."""

import torch
from mmengine.device import get_device

from arml.errors import ConfigError


def device_of(name: str | None) -> torch.device:
    """The device of a name, which can be used.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:0``, ...; None: a GPU where there is one.

    Raises:
        ConfigError: If torch knows no such device, or this machine has none.
    """
    if name is None:
        return torch.device(get_device())
    advice = "expected 'cpu' or a GPU of this machine"
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    advice += f" ('cuda:0' to 'cuda:{found - 1}')" if found else ', where torch finds none'
    try:
        device = torch.device(name)
        if device.type != 'meta':
            torch.zeros(1, device=device).cpu()
            return device
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        raise ConfigError(
            f'device: found {name!r}, {advice} ({str(error).splitlines()[0][:120]})'
        ) from error
    raise ConfigError(f'device: found {name!r}, {advice}')
