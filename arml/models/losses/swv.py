"""Samples weighted voting (SWV): the loss of one network against the pseudo masks."""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.models.losses.functional import pixel_cross_entropy, vote_weights
from arml.registry import MODELS


class Voting(NamedTuple):
    """What two peers' votes say about the pixels of a batch; no gradient.

    Attributes:
        weights: Weight of every pixel, float32, (N, H, W). That of an ignored pixel means nothing.
        agreed: On how many valid pixels the peers agree, int64 scalar.
        total: Sum of the weights of valid pixels, float32 scalar.
    """

    weights: Tensor
    agreed: Tensor
    total: Tensor


@MODELS.register_module()
class SWVLoss(nn.Module):
    r"""Cross entropy weighted by the vote of two peers (ARML eq. 4), mean over valid pixels.

    .. math:: L_{swv} = \frac{1}{n} \sum_{ij} w_{ij}\,\mathrm{CE}(P_a, M)_{ij}

    n is the number of pixels of the batch whose mask is not ``ignore_index``; the weights do not
    enter it unless ``normalise`` is set. Without a valid pixel the loss is 0.

    Args:
        enabled: Whether peers vote. If not, the loss is the plain mean cross entropy.
        omega: Weight of pixels on which the peers agree, without unit, >= 1; the others get
            1/omega. ``'drop'`` (omega to infinity) leaves out disagreeing pixels as if they were
            ignored: the mean runs over the agreeing ones.
        normalise: Whether weights are divided by their mean over the valid pixels of the batch,
            so that omega changes the emphasis but not the step size.
        extra_batch_division: Whether the plain mean cross entropy is divided once more by the
            number of tiles, as the authors' plain cross entropy is (their voting loss is not).
            Not read while peers vote.
        ignore_index: Mask value that is left out.

    Raises:
        ConfigError: If ``omega`` is neither a number >= 1 nor ``'drop'``, or a switch is neither
            True nor False.

    Note:
        The paper writes a sum over pixels, the released code a mean. The mean is used.
    """

    def __init__(
        self,
        enabled: bool = True,
        omega: float | str = 2,
        normalise: bool = False,
        ignore_index: int = 255,
        extra_batch_division: bool = False,
    ) -> None:
        super().__init__()
        number = isinstance(omega, Real) and not isinstance(omega, bool) and omega >= 1
        if omega != 'drop' and not number:
            raise ConfigError(
                f"swv.omega: found {omega!r}, expected a number >= 1 or 'drop' (only pixels on "
                'which the peers agree); set swv.enabled=False for plain cross entropy'
            )
        switches = dict(
            enabled=enabled, normalise=normalise, extra_batch_division=extra_batch_division
        )
        for name, value in switches.items():
            if not isinstance(value, bool):
                raise ConfigError(f'swv.{name}: found {value!r}, expected True or False')
        self.enabled = enabled
        self.omega = math.inf if omega == 'drop' else float(omega)
        self.normalise = normalise
        self.ignore_index = ignore_index
        self.extra_batch_division = extra_batch_division

    def voting(self, vote_b: Tensor, vote_c: Tensor, valid: Tensor, number: Tensor) -> Voting:
        """Weights of all pixels by the votes of two peers.

        Args:
            vote_b: Class indices of one peer, integer, (N, H, W).
            vote_c: Class indices of the other peer, integer, (N, H, W).
            valid: Pixels whose mask is not ``ignore_index``, bool, (N, H, W).
            number: How many these are, int64 scalar.
        """
        weights = vote_weights(vote_b, vote_c, self.omega)
        agreed = ((vote_b == vote_c) & valid).sum()
        total = agreed.float()
        if not math.isinf(self.omega):
            total = total * (self.omega - 1 / self.omega) + number / self.omega
        if self.normalise or math.isinf(self.omega):
            # No agreeing pixel at all: every weight is 0 and stays 0.
            scale = number / torch.where(total > 0, total, 1.0)
            weights, total = weights * scale, total * scale
        return Voting(weights, agreed, total)

    def weights(self, vote_b: Tensor, vote_c: Tensor, target: Tensor) -> Tensor:
        """Weight of every pixel in the mean over valid pixels, 0 on ignored ones.

        Args:
            vote_b: Class indices of one peer, integer, (N, H, W).
            vote_c: Class indices of the other peer, integer, (N, H, W).
            target: Pseudo mask, int64, (N, H, W).

        Returns:
            float32, (N, H, W), no gradient.
        """
        valid = target != self.ignore_index
        return self.voting(vote_b, vote_c, valid, valid.sum()).weights * valid

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        vote_b: Tensor | None = None,
        vote_c: Tensor | None = None,
    ) -> Tensor:
        """Loss of one network.

        Args:
            logits: Scores before softmax, float, (N, K, H, W).
            target: Pseudo mask, int64 in [0, K) or ``ignore_index``, (N, H, W).
            vote_b: Class indices of one peer, integer, (N, H, W); not read if not ``enabled``.
            vote_c: Class indices of the other peer, integer, (N, H, W); likewise.

        Returns:
            Scalar, float32 or float64.

        Raises:
            ValueError: If the loss is enabled and a vote is missing.
        """
        valid = target != self.ignore_index
        number = valid.sum()
        voting = None
        if self.enabled:
            if vote_b is None or vote_c is None:
                raise ValueError('SWVLoss is enabled and needs the votes of two peers')
            voting = self.voting(vote_b, vote_c, valid, number)
        return self.mean(logits, target, voting, number)

    def mean(self, logits: Tensor, target: Tensor, voting: Voting | None, number: Tensor) -> Tensor:
        """Loss of one network whose peers have voted.

        Args:
            logits: Scores before softmax, float, (N, K, H, W).
            target: Pseudo mask, int64 in [0, K) or ``ignore_index``, (N, H, W).
            voting: Of its peers; None if not ``enabled``.
            number: Pixels of ``target`` that are not ``ignore_index``, int64 scalar.

        Returns:
            Scalar, float32 or float64.
        """
        losses = pixel_cross_entropy(logits, target, self.ignore_index)
        if voting is not None:
            losses = losses * voting.weights
        mean = losses.sum() / number.clamp(min=1)
        return mean / len(target) if self.extra_batch_division and voting is None else mean

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return (
            f'enabled={self.enabled}, omega={self.omega}, normalise={self.normalise}, '
            f'extra_batch_division={self.extra_batch_division}'
        )
