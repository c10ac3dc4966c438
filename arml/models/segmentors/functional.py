"""What the segmentors do to logits and masks, as pure functions."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from arml.errors import ConfigError

#: What becomes of background pixels of a pseudo mask in training.
BACKGROUND_LOGITS = ('ignored', 'zero', 'minus_infinity')
#: The released code's logit of background where the mask says so.
BACKGROUND_VALUE = 100.0


def ignore_background(target: Tensor, classes: int, ignore_index: int) -> Tensor:
    """Mark the background pixels of a mask as ignored.

    Args:
        target: int64 in [0, K], or ``ignore_index``, (N, H, W).
        classes: K.
        ignore_index: The value that is left out of losses.

    Returns:
        The same with ``ignore_index`` in the place of K.
    """
    return torch.where(target == classes, ignore_index, target)


def background_channel(
    target: Tensor, classes: int, elsewhere: float, dtype: torch.dtype
) -> Tensor:
    r"""The constant logit of background that the released code appends (not in the paper).

    .. math:: z_K = 100 \text{ where } m = K, \quad 0 \text{ (or } -\infty \text{) elsewhere}

    On background pixels the cross entropy is then about 0; elsewhere a logit of 0 is one more rival of the
    tissues, and a logit of minus infinity none.

    Args:
        target: Mask, int64 in [0, K] or an ignored value, (N, H, W).
        classes: K.
        elsewhere: 0 or ``-inf``.
        dtype: That of the logits.

    Returns:
        (N, 1, H, W), no gradient.
    """
    if math.isinf(elsewhere):
        elsewhere = torch.finfo(torch.float32).min / 2  # finite: 0 * inf is no number
    background = (target == classes).unsqueeze(1)
    channel = torch.full(background.shape, elsewhere, dtype=dtype, device=target.device)
    return channel.masked_fill_(background, BACKGROUND_VALUE)


def add_background(logits: Sequence[Tensor], target: Tensor, kind: str) -> list[Tensor]:
    """Logits of several runs with the constant one of background behind them, if there is one.

    Args:
        logits: (N, K, h, w) each.
        target: Mask, int64 in [0, K] or an ignored value, (N, H, W).
        kind: One of ``BACKGROUND_LOGITS``: the logit elsewhere, or that background is ignored.

    Returns:
        (N, K + 1, h, w) each; where it is ignored the logits themselves.
    """
    if kind == 'ignored':
        return list(logits)
    size, classes = logits[0].shape[-2:], logits[0].shape[1]
    if target.shape[-2:] != size:
        small = F.interpolate(target[:, None].float(), size, mode='nearest-exact')
        target = small[:, 0].long()
    elsewhere = 0.0 if kind == 'zero' else -math.inf
    channel = background_channel(target, classes, elsewhere, logits[0].dtype)
    return [torch.cat([each, channel], dim=1) for each in logits]


def stack_masks(data_samples: Sequence[Any], field: str = 'gt_sem_seg') -> Tensor:
    """A field of N samples, each ``PixelData`` (1, H, W), as one tensor (N, H, W)."""
    return torch.stack([sample.get(field).data for sample in data_samples]).squeeze(1)


def check_background(background: dict[str, Any] | None, known: tuple[str, ...]) -> dict[str, Any]:
    """The settings of ``model.background``, complete.

    Args:
        background: As the config gives them.
        known: Which of ``logit`` and ``in_relation`` the segmentor reads.

    Raises:
        ConfigError: If a name or a value is unknown.
    """
    complete = {'logit': 'ignored', 'in_relation': False, **(background or {})}
    unknown = sorted((background or {}).keys() - set(known))
    if unknown:
        raise ConfigError(f'model.background: found {unknown[0]!r}, expected {" and ".join(known)}')
    if complete['logit'] not in BACKGROUND_LOGITS:
        raise ConfigError(
            f'model.background.logit: found {complete["logit"]!r}, expected one of '
            f'{", ".join(BACKGROUND_LOGITS)}'
        )
    if not isinstance(complete['in_relation'], bool):
        raise ConfigError(
            f'model.background.in_relation: found {complete["in_relation"]!r}, expected True or False'
        )
    return complete
