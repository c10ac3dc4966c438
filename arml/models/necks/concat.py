"""Several maps of a backbone as one, where a class map is to see more than the deepest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from arml.errors import ConfigError
from arml.registry import MODELS


def concatenate_maps(maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    r"""Maps of several sizes side by side, at one size.

    .. math:: f = [R(f_1), \ldots, R(f_L)]

    R leaves what fits as it is. Where a map shrinks, each new position is the mean of the old ones it
    covers (so the mean of the map stays, where the sizes divide); otherwise R is bilinear.

    Args:
        maps: Float, (N, C_l, h_l, w_l) each.
        size: (h, w) in positions.

    Returns:
        (N, sum of C_l, h, w).
    """
    return torch.cat([_fit(one, tuple(size)) for one in maps], dim=1)


def _fit(one: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(one.shape[2:]) == size:
        return one
    if one.shape[2] >= size[0] and one.shape[3] >= size[1]:
        return F.adaptive_avg_pool2d(one, size)
    return F.interpolate(one, size=size, mode='bilinear', align_corners=False)


@MODELS.register_module()
class ConcatNeck(BaseModule):
    """All maps that a backbone gives, concatenated; no parameters.

    A classifier hands all maps, not the last one, to a neck that says ``takes_all_maps``.
    The channels are the sum of the backbone's; ``head.in_channels`` must name it.

    Args:
        size_of: Which of the maps says the size of all, counted from 0, or from the end if below 0.
        init_cfg: As in mmengine.
    """

    takes_all_maps: ClassVar[bool] = True

    def __init__(self, size_of: int = -1, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.size_of = size_of

    def forward(self, maps: Sequence[Tensor] | Tensor) -> Tensor:
        """Concatenate.

        Args:
            maps: Float, (N, C_l, h_l, w_l) each; one alone may come as it is.

        Returns:
            (N, sum of C_l, h, w), h and w of the map ``size_of``.

        Raises:
            ConfigError: If there is no such map.
        """
        maps = [maps] if isinstance(maps, Tensor) else list(maps)
        if not -len(maps) <= self.size_of < len(maps):
            raise ConfigError(
                f'classifier.model.neck.size_of: found {self.size_of}, expected a whole number from '
                f'{-len(maps)} to {len(maps) - 1}: the backbone gives {len(maps)} map(s)'
            )
        return concatenate_maps(maps, maps[self.size_of].shape[2:])
