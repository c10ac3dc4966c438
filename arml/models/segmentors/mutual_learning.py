"""Mutual learning of independent networks on noisy masks (ARML, stage 2)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from numbers import Real
from string import ascii_lowercase
from typing import Any

import torch
from mmengine.model import ModuleList
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.models.utils import resize
from mmseg.registry import MODELS as MMSEG_MODELS
from torch import Tensor

from arml.errors import ConfigError
from arml.models.losses import SRMLoss, SWVLoss
from arml.models.losses.functional import at_least_float32, hard_vote
from arml.registry import MODELS


@MODELS.register_module()
class MutualLearningSegmentor(BaseSegmentor):
    r"""Three independent networks of one template that learn from each other.

    .. math:: L_a = (1 - \lambda) L_{swv}(a \mid b, c) + \lambda L_{st}(a; b, c)

    and the same with the roles rotated; the training loss is the sum over the networks. Peers are
    detached, so a network's gradient comes from its own loss alone, and one optimiser over all
    parameters takes the same steps as one optimiser per network.

    A relation that is switched off counts as ``lambda_ = 0``: the voting term then has weight 1.
    Networks are initialised from the same config, one after the other: pretrained parts are equal,
    all others differ. The mask loss is SWV; ``loss_decode`` of the template's head is not used.
    Auxiliary heads keep their own plain loss and loss weight, added for every network.

    Args:
        network: Config of an mmseg ``EncoderDecoder`` without ``data_preprocessor``, built
            ``num_networks`` times.
        num_networks: 3, or 1 for a single network trained by plain cross entropy (``swv`` and
            ``srm`` switched off).
        swv: Config of the voting loss, ``arml.SWVLoss``; its defaults if None.
        srm: Config of the relation loss, ``arml.SRMLoss``; its defaults if None.
        lambda_: Weight of the relation, without unit, in [0, 1].
        prediction: ``'a'`` predicts by the first network (the paper), ``'mean'`` by the mean of
            the class probabilities of all.
        data_preprocessor: Config of mmseg's ``SegDataPreProcessor``.
        init_cfg: mmengine initialisation of the whole model, e.g. a checkpoint of all networks.

    Raises:
        ConfigError: If a value is out of its range or the template cannot be used.
    """

    def __init__(
        self,
        network: dict[str, Any],
        num_networks: int = 3,
        swv: dict[str, Any] | None = None,
        srm: dict[str, Any] | None = None,
        lambda_: float = 0.2,
        prediction: str = 'a',
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.swv: SWVLoss = MODELS.build(swv or dict(type='arml.SWVLoss'))
        self.srm: SRMLoss = MODELS.build(srm or dict(type='arml.SRMLoss'))
        self._check(num_networks, lambda_, prediction)
        self.networks = ModuleList(_build_network(network) for _ in range(num_networks))
        self.names = ascii_lowercase[:num_networks]
        self.lambda_ = float(lambda_)
        self.prediction = prediction
        # mmseg's postprocess_result and tools read these from the segmentor.
        first = self.networks[0]
        self.align_corners: bool = first.align_corners
        self.num_classes: int = first.num_classes
        self.out_channels: int = first.out_channels

    def _check(self, num_networks: int, lambda_: float, prediction: str) -> None:
        if num_networks not in (1, 3):
            raise ConfigError(f'model.num_networks: found {num_networks!r}, expected 1 or 3')
        for name, part in (('swv', self.swv), ('srm', self.srm)):
            if num_networks == 1 and part.enabled:
                raise ConfigError(
                    f'model.{name}.enabled: found True with model.num_networks=1, expected False: '
                    f'a single network has no peers. Set model.{name}.enabled=False'
                )
        if not isinstance(lambda_, Real) or not 0 <= lambda_ <= 1:
            raise ConfigError(f'model.lambda_: found {lambda_!r}, expected a number from 0 to 1')
        if prediction not in ('a', 'mean'):
            raise ConfigError(f"model.prediction: found {prediction!r}, expected 'a' or 'mean'")

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Losses of all networks for a batch.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).
            data_samples: N samples with ``gt_sem_seg``, the pseudo masks, int64 in [0, K) or 255.

        Returns:
            Per network ``loss_swv_a`` (``loss_ce_a`` without voting) and ``loss_srm_a``, already
            multiplied by their weights, and the losses of auxiliary heads; with voting also
            ``agreement``, the share of valid pixels on which two peers agree, and
            ``vote_weight_mean``, the mean weight of valid pixels, both means over the networks.
        """
        target = torch.stack([sample.gt_sem_seg.data for sample in data_samples]).squeeze(1)
        losses: dict[str, Tensor] = {}
        logits = []
        for name, network in zip(self.names, self.networks, strict=True):
            features = network.extract_feat(inputs)
            logits.append(network.decode_head(features))
            if network.with_auxiliary_head:
                auxiliary = network._auxiliary_head_forward_train(features, data_samples)
                losses.update({f'{name}.{key}': value for key, value in auxiliary.items()})
        # Interpolating half precision logits would cost votes their last bits.
        full = [self._resize(at_least_float32(x), target.shape[-2:]) for x in logits]
        relation_weight = self.lambda_ if self.srm.enabled else 0.0
        losses.update(self._mask_losses(full, target, 1.0 - relation_weight))
        if relation_weight:
            relations = self.srm(full if self.srm.resolution == 'mask' else logits)
            for name, value in zip(self.names, relations, strict=True):
                losses[f'loss_srm_{name}'] = relation_weight * value
        return losses

    def _mask_losses(
        self, logits: list[Tensor], target: Tensor, weight: float
    ) -> dict[str, Tensor]:
        """Voting losses or plain cross entropies, times ``weight``, and diagnostics."""
        if not self.swv.enabled:
            return {
                f'loss_ce_{name}': weight * self.swv(x, target)
                for name, x in zip(self.names, logits, strict=True)
            }
        losses: dict[str, Tensor] = {}
        votes = [hard_vote(x) for x in logits]
        valid = target != self.swv.ignore_index
        agreed, weights = [], []
        for index, name in enumerate(self.names):
            vote_b, vote_c = votes[(index + 1) % 3], votes[(index + 2) % 3]
            losses[f'loss_swv_{name}'] = weight * self.swv(logits[index], target, vote_b, vote_c)
            agreed.append(((vote_b == vote_c) & valid).sum())
            weights.append(self.swv.weights(vote_b, vote_c, target).sum())
        count = 3 * valid.sum().clamp(min=1)
        losses['agreement'] = sum(agreed) / count
        losses['vote_weight_mean'] = sum(weights) / count
        return losses

    def extract_feat(self, inputs: Tensor) -> Any:
        """Features of the first network, as its backbone (and neck) gives them."""
        return self.networks[0].extract_feat(inputs)

    def encode_decode(
        self, inputs: Tensor, batch_img_metas: Sequence[dict] | None = None
    ) -> Tensor:
        """Logits of the prediction at the size of the input.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).
            batch_img_metas: Not read; mmseg's signature.

        Returns:
            float, (N, K, H, W). Their softmax are the class probabilities: with
            ``prediction='mean'`` they are the logarithm of the mean probabilities.
        """
        if self.prediction == 'a':
            return self._logits(0, inputs)
        mean = sum(self._logits(i, inputs).softmax(1) for i in range(len(self.networks)))
        mean = mean / len(self.networks)
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()

    def predict_probabilities(self, inputs: Tensor) -> Tensor:
        """Class probabilities at the size of the input; depends on the array alone.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).

        Returns:
            float32 in [0, 1] with sum 1 over classes, (N, K, H, W).
        """
        return self.encode_decode(inputs).softmax(1)

    def predict(self, inputs: Tensor, data_samples: list[Any] | None = None) -> list[Any]:
        """Segmentations in mmseg's form.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).
            data_samples: N samples whose ``ori_shape`` (and padding, flip) is undone, or None.

        Returns:
            The samples with ``pred_sem_seg`` (1, h, w) and ``seg_logits`` (K, h, w).
        """
        return self.postprocess_result(self.encode_decode(inputs), data_samples)

    def _forward(self, inputs: Tensor, data_samples: list[Any] | None = None) -> Tensor:
        """Logits of the prediction, (N, K, H, W); mmengine's mode ``'tensor'``."""
        return self.encode_decode(inputs)

    def _logits(self, index: int, inputs: Tensor) -> Tensor:
        """Logits of one network at the size of the input, float32, (N, K, H, W)."""
        network = self.networks[index]
        logits = network.decode_head(network.extract_feat(inputs))
        return self._resize(at_least_float32(logits), inputs.shape[-2:])

    def _resize(self, logits: Tensor, size: torch.Size) -> Tensor:
        return resize(
            logits, size=size, mode='bilinear', align_corners=self.align_corners, warning=False
        )


def _build_network(config: dict[str, Any]) -> EncoderDecoder:
    """A network of its own: nothing of the config is shared between builds."""
    if config.get('data_preprocessor') is not None:
        raise ConfigError(
            'model.network.data_preprocessor: found one, expected none. All networks see the same '
            'tiles; move it to model.data_preprocessor'
        )
    network = MMSEG_MODELS.build(copy.deepcopy(config))
    if not isinstance(network, EncoderDecoder):
        raise ConfigError(
            f'model.network.type: found {type(network).__name__}, expected an mmseg EncoderDecoder'
        )
    if network.out_channels < 2:
        raise ConfigError(
            f'model.network.decode_head.out_channels: found {network.out_channels}, expected one '
            'channel per class (at least 2)'
        )
    if (network.test_cfg or {}).get('mode', 'whole') != 'whole':
        raise ConfigError(
            f"model.network.test_cfg.mode: found {network.test_cfg['mode']!r}, expected 'whole'; "
            'large images are tiled by the predictor, not by the network'
        )
    return network
