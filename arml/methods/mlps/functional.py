r"""The mathematics of MLPS: progressive dropout attention, and the gate at test time.

Source: Han et al., "Multi-Layer Pseudo-Supervision for Histopathology Tissue Semantic Segmentation using
Patch-level Classification Labels" (Medical Image Analysis, 2022) and the authors' released code
(ChuHan89/WSSS-Tissue), of which nothing is copied. What the two leave open is in ``docs/methods/mlps.md``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: What becomes of the logits of a class that does not pass the gate.
GATE_MODES = ('minus_infinity', 'zero')


def dropout_threshold(epoch: int, start: float, decay: float, floor: float) -> float:
    r"""The share mu of a map's maximum above which its positions are dropped.

    .. math:: \mu_e = \max(\text{floor},\; \text{start} \cdot \text{decay}^e)

    A function of the epoch alone, so that a resumed training repeats the uninterrupted one.

    Args:
        epoch: e, counted from 0, whether or not the attention is on in it.
        start: mu of epoch 0, >= 0; from 1 nothing is dropped.
        decay: In (0, 1].
        floor: Smallest mu, >= 0.

    Returns:
        mu, without unit.

    Note:
        The released code multiplies as long as mu is above the floor, so it ends one step below it: at
        0.98^22 = 0.6412 with a floor of 0.65. ``floor=0.6412`` gives the same.
    """
    return max(floor, start * decay**epoch)


def class_activations(features: Tensor, weights: Tensor) -> Tensor:
    r"""Non-negative class activation maps.

    .. math:: C_k(u) = \max(0, W_k^\top F(u))

    Args:
        features: F, float, (N, D, h, w).
        weights: W of the linear head, (K, D) or (K, D, 1, 1).

    Returns:
        (N, K, h, w), >= 0; gradients reach both arguments.
    """
    return F.conv2d(features, weights.reshape(*weights.shape[:2], 1, 1)).relu()


def drop_strongest(activations: Tensor, mu: float) -> Tensor:
    r"""Set the strongest positions of each map to 0.

    .. math:: C'_k(u) = C_k(u)\, [\, C_k(u) \le \mu \max_v C_k(v)\,]

    Args:
        activations: C, float, >= 0, (N, K, h, w); each tile and class by itself.
        mu: From 1 nothing is dropped, at 0 every position above 0.

    Returns:
        (N, K, h, w); no gradient through the comparison.
    """
    bound = mu * activations.detach().amax(dim=(2, 3), keepdim=True)
    return activations * (activations.detach() <= bound)


def dropout_attention(features: Tensor, weights: Tensor, mu: float) -> Tensor:
    r"""The attention that features are multiplied with (progressive dropout attention).

    .. math:: M(u) = \frac{1}{K} \sum_k C'_k(u)

    C' are the class activations without their strongest positions. M is not normalised, and neither the
    features nor the weights are detached in it, as in the released code; that has 4 in the place of K.

    Args:
        features: F, float, (N, D, h, w).
        weights: W of the linear head, (K, D) or (K, D, 1, 1).
        mu: See :func:`drop_strongest`.

    Returns:
        (N, 1, h, w), >= 0.
    """
    return drop_strongest(class_activations(features, weights), mu).mean(dim=1, keepdim=True)


def passing(probabilities: Tensor, threshold: float, keep_best: bool) -> Tensor:
    """Which classes of a tile pass the gate.

    Args:
        probabilities: Of the classifier, in [0, 1], (N, K).
        threshold: A class passes if its probability is above this.
        keep_best: Whether the most probable class of a tile passes where none does.

    Returns:
        bool, (N, K).
    """
    present = probabilities > threshold
    if not keep_best:
        return present
    best = F.one_hot(probabilities.argmax(dim=1), probabilities.shape[1]).bool()
    return torch.where(present.any(dim=1, keepdim=True), present, best)


def gate_logits(logits: Tensor, present: Tensor, mode: str) -> Tensor:
    """Take the classes that did not pass out of a segmentation.

    Args:
        logits: Scores before softmax, float, (N, K, H, W), or (N, K + 1, H, W) with background last,
            which always passes.
        present: Classes that passed, bool, (N, K).
        mode: ``'minus_infinity'``: their probability is 0, and they never win. ``'zero'``: their logit is
            0, as in the released code, and they win wherever all others are below 0.

    Returns:
        As ``logits``. For minus infinity stands half of the lowest finite number, which can still be resized.

    Raises:
        ValueError: If the mode is unknown or the shapes disagree.
    """
    if mode not in GATE_MODES:
        raise ValueError(f'mode: found {mode!r}, expected one of {", ".join(GATE_MODES)}')
    surplus = logits.shape[1] - present.shape[1]
    if len(present) != len(logits) or surplus not in (0, 1):
        raise ValueError(
            f'present: found {tuple(present.shape)}, expected (N, K) of logits {tuple(logits.shape)}, '
            'which may have one more, of background'
        )
    absent = F.pad(~present, (0, surplus), value=False)[:, :, None, None]
    value = 0.0 if mode == 'zero' else torch.finfo(logits.dtype).min / 2
    return logits.masked_fill(absent, value)
