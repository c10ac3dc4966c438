"""What the segmentors do to logits and masks, as pure functions."""

import math

import torch
from torch import Tensor

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
