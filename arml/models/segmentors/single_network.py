"""One mmseg network trained on noisy masks: the baselines, and the rivals of ARML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mmengine.model import ModuleList
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.models.losses.functional import at_least_float32
from arml.models.segmentors.functional import (
    add_background,
    check_background,
    ignore_background,
    stack_masks,
)
from arml.models.segmentors.probability import ProbabilitySegmentor
from arml.models.segmentors.template import build_network
from arml.registry import MODELS

#: Mask value that no loss counts.
IGNORE = 255


class WeightedMask(NamedTuple):
    """A mask that a network learns from.

    Attributes:
        target: int64 in [0, K], K is background, or 255, (N, H, W).
        weight: Of its loss in the sum, without unit, >= 0.
    """

    target: Tensor
    weight: float


@MODELS.register_module()
class SingleNetworkSegmentor(ProbabilitySegmentor):
    r"""One network of mmseg with a loss of ours, the same for all its heads.

    .. math:: L = \sum_m v_m \Big( \ell(z, m) + \sum_h w_h \ell(z_h, m) \Big)

    m are the masks (one, unless a subclass brings more), z the logits at the size of the mask, z_h those of
    auxiliary heads. Their weight w_h is the ``loss_weight`` of mmseg's ``loss_decode`` in the head's config,
    of which nothing else is read.

    Args:
        network: Config of an mmseg ``EncoderDecoder`` without ``data_preprocessor``.
            ``decode_head.in_channels=None`` takes the channels that the backbone says it gives.
        mask_loss: Of logits (N, K, H, W) and a mask (N, H, W) with 255 for what does not count.
            Default ``arml.PixelCrossEntropy``.
        background: What background pixels of a mask (value K) are in training, as of
            :class:`~arml.models.segmentors.mutual_learning.MutualLearningSegmentor`: ``dict(logit='ignored')``,
            ``'zero'`` or ``'minus_infinity'``.
        data_preprocessor: Config of ``arml.TissueDataPreProcessor`` or mmseg's.
        init_cfg: mmengine initialisation of the whole model.

    Raises:
        ConfigError: If a value is out of its range or the network cannot be used.
    """

    def __init__(
        self,
        network: dict[str, Any],
        mask_loss: dict[str, Any] | None = None,
        background: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.background_logit: str = check_background(background, ('logit',))['logit']
        # As of three networks, so that a checkpoint's names say which network a weight is of.
        self.networks = ModuleList([build_network(network)])
        self.mask_loss = MODELS.build(mask_loss or dict(type='arml.PixelCrossEntropy'))
        self.heads = _heads_of(self.networks[0])
        self.describe()

    def masks_of(self, data_samples: Sequence[Any]) -> dict[str, WeightedMask]:
        """The masks of a batch and their weights, by name; a subclass may bring more than one, of one size.

        Args:
            data_samples: N samples with ``gt_sem_seg``, the pseudo mask.
        """
        return {'mask': WeightedMask(stack_masks(data_samples), 1.0)}

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Losses of a batch, weighted: ``loss_mask``, and ``auxiliary_0.loss_mask`` of other heads.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).
            data_samples: N samples with what :meth:`masks_of` needs.

        Raises:
            ConfigError: If a head gives anything but logits (N, K, h, w).
        """
        masks = self.masks_of(data_samples)
        size = next(iter(masks.values())).target.shape[-2:]
        features = self.networks[0].extract_feat(inputs)
        losses: dict[str, Tensor] = {}
        for prefix, (head, head_weight) in self.heads.items():
            logits = head(features)
            if not isinstance(logits, Tensor) or logits.shape[1] != self.out_channels:
                raise ConfigError(
                    f'model.network: found a {type(head).__name__} that gives '
                    f'{_described(logits)} in training, expected logits (N, {self.out_channels}, h, w). '
                    'Heads with several outputs have losses of their own, which are not used here'
                )
            logits = self.resize_logits(at_least_float32(logits), size)
            for name, (target, weight) in masks.items():
                (seen,) = add_background([logits], target, self.background_logit)
                if self.background_logit == 'ignored':
                    target = ignore_background(target, self.out_channels, IGNORE)
                factor = head_weight * weight
                losses[f'{prefix}loss_{name}'] = factor * self.mask_loss(seen, target)
        return losses


def _heads_of(network: nn.Module) -> dict[str, tuple[nn.Module, float]]:
    """The heads of a network with the weights of their losses, by the prefix of their losses' names."""
    heads = {'': (network.decode_head, 1.0)}
    if network.with_auxiliary_head:
        auxiliary = network.auxiliary_head
        auxiliary = auxiliary if isinstance(auxiliary, nn.ModuleList) else [auxiliary]
        for index, head in enumerate(auxiliary):
            weight = getattr(head.loss_decode, 'loss_weight', None)
            if weight is None:
                raise ConfigError(
                    f'model.network.auxiliary_head ({index}).loss_decode: found '
                    f'{type(head.loss_decode).__name__}, expected one loss with a loss_weight: the '
                    'weight of model.mask_loss on this head'
                )
            heads[f'auxiliary_{index}.'] = (head, float(weight))
    return heads


def _described(found: Any) -> str:
    return str(tuple(found.shape)) if isinstance(found, Tensor) else type(found).__name__
