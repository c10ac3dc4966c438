"""ARS, the attention and reactivation of the paper's first stage."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.models.necks.functional import SOFTMAX_DIMS, criss_cross_attention
from arml.models.necks.reactivation import (
    ChannelReactivation,
    ReleasedReactivation,
    SpatialReactivation,
)
from arml.registry import MODELS

REACTIVATIONS = ('paper', 'channel', 'released', 'none')
CHANNEL_GATES = ('trained', 'frozen', 'none')


@MODELS.register_module()
class ARSNeck(BaseModule):
    r"""Criss-cross attention, fusion, reactivation (ARML eqs. 1-3).

    .. math:: f'_u = \gamma \sum_i A_{i,u} V_{\Omega_u(i)} + f_u, \qquad
              f'' = f' \odot e^{-\mathrm{conv}_{7\times7}(\mathrm{pool}(f'))}

    Class scores and class maps are both read from f'', in training and at inference. The defaults
    are the paper's; where it is silent they are ours and said so. All parameters are trained.
    Gamma and the 7x7 filter start at 0, so ARS starts as the identity; in the very first step the
    attention's convolutions get a gradient of exactly 0, because gamma is 0.

    Args:
        in_channels: C of the features.
        enabled: Whether there is an ARS at all; otherwise the identity, without parameters.
        reduction: C / C' of query and key, >= 1. The paper says C' < C; 8 is the released code's.
        softmax_dim: ``affinity`` (paper) or ``height`` (released).
        mask_self: Count the position itself once (paper) or twice (released).
        gamma_init: Start of gamma.
        gamma_trainable: Whether gamma is trained (paper) or not (released, where it stays 0 and
            the attention is therefore left out).
        reactivation: ``paper`` (channel-mean map, 7x7), ``channel`` (pooled channels, 7 wide),
            ``released`` (channel gate and spatial gate), or ``none``.
        channel_gate: Of ``released``: ``trained``, ``frozen`` (as the released run), ``none``.
        gate_norm_eval: Of ``released``: keep the BN of the spatial gate fixed, as released.
        exponent_bound: Of ``paper`` and ``channel``: bound of the exponent, or None (ours: 5).
        at_inference: Whether ARS is part of the features in evaluation mode (released: not).
        start_epoch: Epochs of a training before ARS takes part (0; released: 2). A model that is not
            being trained has it from the start. Its parameters have no gradient before: with several
            processes set ``model_wrapper_cfg.find_unused_parameters=True``.
        init_cfg: As in mmengine.

    Raises:
        ConfigError: If an argument is outside its choices or range.
    """

    def __init__(
        self,
        in_channels: int,
        enabled: bool = True,
        reduction: int = 8,
        softmax_dim: str = 'affinity',
        mask_self: bool = True,
        gamma_init: float = 0.0,
        gamma_trainable: bool = True,
        reactivation: str = 'paper',
        channel_gate: str = 'trained',
        gate_norm_eval: bool = False,
        exponent_bound: float | None = 5.0,
        at_inference: bool = True,
        start_epoch: int = 0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        for field, found, choices in (
            ('softmax_dim', softmax_dim, SOFTMAX_DIMS),
            ('reactivation', reactivation, REACTIVATIONS),
            ('channel_gate', channel_gate, CHANNEL_GATES),
        ):
            if found not in choices:
                raise ConfigError(
                    f'ARSNeck.{field}: found {found!r}, expected one of {", ".join(choices)}.'
                )
        if reduction < 1:
            raise ConfigError(f'ARSNeck.reduction: found {reduction}, expected a number >= 1.')
        if exponent_bound is not None and exponent_bound <= 0:
            raise ConfigError(
                f'ARSNeck.exponent_bound: found {exponent_bound}, expected > 0 or None.'
            )
        self.in_channels = in_channels
        self.enabled = enabled
        self.softmax_dim = softmax_dim
        self.mask_self = mask_self
        self.gamma_init = gamma_init
        if isinstance(start_epoch, bool) or not isinstance(start_epoch, int) or start_epoch < 0:
            raise ConfigError(
                f'ARSNeck.start_epoch: found {start_epoch!r}, expected a whole number from 0.'
            )
        self.at_inference = at_inference
        self.start_epoch = start_epoch
        self._started = True
        #: A gamma that is 0 for ever makes the attention the identity: neither built nor computed.
        self.attends = gamma_trainable or gamma_init != 0
        if not enabled:
            return
        if self.attends:
            inner = max(int(in_channels // reduction), 1)
            self.query = nn.Conv2d(in_channels, inner, 1)
            # A bias of the key shifts all affinities of a position alike: a softmax over them
            # cancels it, so there it would never be trained.
            self.key = nn.Conv2d(in_channels, inner, 1, bias=softmax_dim == 'height')
            self.value = nn.Conv2d(in_channels, in_channels, 1)
            self.gamma = nn.Parameter(torch.tensor([gamma_init]), requires_grad=gamma_trainable)
        self.reactivation = {
            'paper': lambda: SpatialReactivation(exponent_bound),
            'channel': lambda: ChannelReactivation(exponent_bound),
            'released': lambda: ReleasedReactivation(in_channels, channel_gate, gate_norm_eval),
            'none': nn.Identity,
        }[reactivation]()

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch of a training begins, counted from 0 (``arml.EpochSeedHook``)."""
        self._started = epoch >= self.start_epoch

    def attend(self, features: Tensor) -> Tensor:
        """Fuse the context of column and row into the features (eqs. 1-2): f -> f'."""
        if not self.attends:
            return features
        context = criss_cross_attention(
            self.query(features),
            self.key(features),
            self.value(features),
            self.softmax_dim,
            self.mask_self,
        )
        return self.gamma * context + features

    def forward(self, features: Tensor) -> Tensor:
        """Compute f'' from f.

        Args:
            features: Float, (N, C, h, w).

        Returns:
            (N, C, h, w).
        """
        if not self.enabled or not self._started or not (self.training or self.at_inference):
            return features
        return self.reactivation(self.attend(features))
