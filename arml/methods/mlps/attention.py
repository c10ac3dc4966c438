"""Progressive dropout attention as a part of a classifier."""

from __future__ import annotations

from numbers import Real

from torch import Tensor, nn

from arml.errors import ConfigError
from arml.methods.mlps.functional import dropout_attention, dropout_threshold
from arml.registry import MODELS


@MODELS.register_module()
class ProgressiveDropoutAttention(nn.Module):
    r"""Multiplies features with class activations that miss their peaks, in training only.

    .. math:: F \leftarrow F \odot M, \qquad
              M(u) = \frac{1}{K} \sum_k C_k(u)\, [\, C_k(u) \le \mu_e \max_v C_k(v)\,]

    The most discriminative positions are hidden from the head, so that it learns from the others; mu falls
    from epoch to epoch, so more and more are. Equations: :mod:`arml.methods.mlps.functional`. It has no
    parameters and, as the epoch determines mu, no state.

    Args:
        enabled: Whether there is any.
        mu_start: mu of epoch 0, >= 0.
        decay: Factor of mu from one epoch to the next, in (0, 1].
        floor: Smallest mu, >= 0.
        start_epoch: Epochs of a training before it takes part; mu falls in them too.

    Raises:
        ConfigError: If a value is out of its range.
    """

    def __init__(
        self,
        enabled: bool = True,
        mu_start: float = 1.0,
        decay: float = 0.98,
        floor: float = 0.65,
        start_epoch: int = 3,
    ) -> None:
        super().__init__()
        for name, value, fits, expected in (
            ('mu_start', mu_start, lambda v: v >= 0, 'a number >= 0'),
            ('decay', decay, lambda v: 0 < v <= 1, 'a number in (0, 1]'),
            ('floor', floor, lambda v: v >= 0, 'a number >= 0'),
        ):
            if isinstance(value, bool) or not isinstance(value, Real) or not fits(value):
                raise ConfigError(
                    f'classifier.model.attention.{name}: found {value!r}, expected {expected}'
                )
        if isinstance(start_epoch, bool) or not isinstance(start_epoch, int) or start_epoch < 0:
            raise ConfigError(
                f'classifier.model.attention.start_epoch: found {start_epoch!r}, expected a whole number '
                'from 0'
            )
        self.enabled = enabled
        self.mu_start = mu_start
        self.decay = decay
        self.floor = floor
        #: From here on ``arml.ParameterCheckHook`` counts: a map of zeros would starve all that trains.
        self.start_epoch = start_epoch if enabled else 0
        self._epoch = 0

    @property
    def mu(self) -> float:
        """The threshold of the current epoch, as a share of a map's maximum."""
        return dropout_threshold(self._epoch, self.mu_start, self.decay, self.floor)

    @property
    def active(self) -> bool:
        """Whether features are changed now."""
        return self.enabled and self.training and self._epoch >= self.start_epoch

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch of a training begins, counted from 0 (``arml.EpochSeedHook``)."""
        self._epoch = epoch

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Hide the peaks of the class activations.

        Args:
            features: Float, (N, D, h, w).
            weights: Of the linear head, (K, D, 1, 1).

        Returns:
            (N, D, h, w); the features themselves where it is not active.
        """
        if not self.active:
            return features
        return features * dropout_attention(features, weights, self.mu)
