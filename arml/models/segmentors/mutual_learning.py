"""Mutual learning of independent networks on noisy masks (ARML, stage 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from string import ascii_lowercase
from typing import Any

import torch
from mmengine.model import ModuleList
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from arml.errors import ConfigError
from arml.models.losses import SRMLoss, SWVLoss
from arml.models.losses.functional import at_least_float32, hard_vote
from arml.models.segmentors.functional import (
    add_background,
    check_background,
    ignore_background,
    stack_masks,
)
from arml.models.segmentors.probability import ProbabilitySegmentor
from arml.models.segmentors.repeat import extract_for_passes
from arml.models.segmentors.template import build_network
from arml.registry import MODELS


@MODELS.register_module()
class MutualLearningSegmentor(ProbabilitySegmentor):
    r"""Three networks of one template that learn from each other, or one network run three times.

    .. math:: L_a = w L_{swv}(a \mid b, c) + \lambda L_{rel}(a; b, c), \quad w = 1 - \lambda

    and the same with the roles rotated; the training loss is the sum over the networks. Peers are
    detached, so a network's gradient comes from its own loss alone, and one optimiser over all
    parameters takes the same steps as one optimiser per network.

    A relation that is switched off counts as ``lambda_ = 0``: the voting term then has weight 1.
    Networks are initialised from the same config, one after the other: pretrained parts are equal,
    all others differ. The mask loss is SWV; ``loss_decode`` of the template's head is not used.
    Auxiliary heads keep their own plain loss and loss weight, added for every network.

    A single network (the released code) has no peers, so it is run three times on a batch; the runs differ by
    its dropout, so what comes before any dropout is computed once. Only the first is trained, unless
    ``symmetric``. Without voting and relation a single
    network is run once: plain cross entropy.

    Args:
        network: Config of an mmseg ``EncoderDecoder`` without ``data_preprocessor``, built
            ``num_networks`` times. ``decode_head.in_channels=None`` takes the channels that the backbone
            says it gives.
        num_networks: 3 (the paper) or 1 (the released code; and the baseline of plain cross entropy).
        symmetric: Of a single network: train each of the three runs in its turn as the main one and
            take the mean of their losses. Three networks always rotate.
        swv: Config of the voting loss, ``arml.SWVLoss``; its defaults if None.
        srm: Config of the relation loss, ``arml.SRMLoss``; its defaults if None.
        lambda_: Weight of the relation, without unit, in [0, 1].
        mask_weight: Weight w of the voting loss, >= 0; None: 1 - lambda_ (1 without a relation).
        background: ``logit``: what background pixels of a mask (value K) are in training. ``'ignored'``:
            no loss. ``'zero'``: K + 1 logits, the last constantly 100 on background and 0 elsewhere (the
            released code). ``'minus_infinity'``: the same with minus infinity elsewhere. ``in_relation``:
            whether the relation sees that logit (only with ``'zero'``). A network with K + 1 outputs of
            its own learns background as a class; only ``'ignored'`` goes with it.
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
        symmetric: bool = False,
        swv: dict[str, Any] | None = None,
        srm: dict[str, Any] | None = None,
        lambda_: float = 0.2,
        mask_weight: float | None = None,
        background: dict[str, Any] | None = None,
        prediction: str = 'a',
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.swv: SWVLoss = MODELS.build(swv or dict(type='arml.SWVLoss'))
        self.srm: SRMLoss = MODELS.build(srm or dict(type='arml.SRMLoss'))
        background = check_background(background, ('logit', 'in_relation'))
        _check(num_networks, lambda_, mask_weight, prediction)
        self.networks = ModuleList(build_network(network) for _ in range(num_networks))
        mutual = self.swv.enabled or self.srm.active  # networks (or runs) look at each other
        runs = 3 if mutual else num_networks
        #: Names of the runs of a batch, and which of them are trained.
        self.names = ascii_lowercase[:runs]
        self.mains = range(runs) if num_networks == 3 or symmetric else range(1)
        self.lambda_ = float(lambda_)
        self.mask_weight = mask_weight
        self.background_logit: str = background['logit']
        # Minus infinity has no distance to anything.
        self.background_in_relation: bool = (
            background['in_relation'] and background['logit'] == 'zero'
        )
        self.prediction = prediction
        self.describe()

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Losses of all networks for a batch.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).
            data_samples: N samples with ``gt_sem_seg``, the pseudo masks, int64 in [0, K] (K is
                background) or 255.

        Returns:
            Per main network ``loss_swv_a`` (``loss_ce_a`` without voting) and ``loss_srm_a``, already
            multiplied by their weights, and the losses of auxiliary heads; with voting also
            ``agreement``, the share of valid pixels on which two peers agree, and
            ``vote_weight_mean``, the mean weight of valid pixels, both means over the mains.
        """
        target = stack_masks(data_samples)
        plain = ignore_background(target, self.out_channels, self.swv.ignore_index)
        if self.background_logit == 'ignored':
            target = plain
        losses: dict[str, Tensor] = {}
        logits = self._runs(inputs, data_samples, plain, losses)
        # Interpolating half precision logits would cost votes their last bits.
        full = [self.resize_logits(at_least_float32(x), target.shape[-2:]) for x in logits]
        share = 1 / len(self.mains) if len(self.networks) == 1 else 1.0
        relation_weight = self.lambda_ if self.srm.active else 0.0
        mask_weight = 1 - relation_weight if self.mask_weight is None else self.mask_weight
        extended = add_background(full, target, self.background_logit)
        losses.update(self._mask_losses(extended, target, mask_weight * share))
        if relation_weight:
            seen = full if self.srm.resolution == 'mask' else logits
            if self.background_in_relation:
                seen = extended
                if self.srm.resolution != 'mask':
                    seen = add_background(logits, target, self.background_logit)
            relations = self.srm(seen, self.mains)
            for index, value in zip(self.mains, relations, strict=True):
                losses[f'loss_srm_{self.names[index]}'] = relation_weight * share * value
        return losses

    def _runs(
        self, inputs: Tensor, data_samples: Sequence[Any], target: Tensor, losses: dict[str, Tensor]
    ) -> list[Tensor]:
        """Logits of every run, as the heads give them; adds the losses of auxiliary heads.

        A run whose logits teach only needs no graph.
        """
        teaches_only = not (self.srm.teacher_gradient or self.srm.direction == 'to_peers')
        logits, labelled = [], None
        passes, shared = (len(self.names) if len(self.networks) == 1 else 1), False
        for index, name in enumerate(self.names):
            network = self.networks[index % len(self.networks)]
            main = index in self.mains
            with torch.set_grad_enabled(torch.is_grad_enabled() and (main or not teaches_only)):
                if not shared:
                    features, shared = extract_for_passes(network, inputs, passes)
                    passes = 1
                logits.append(network.decode_head(features))
            if main and network.with_auxiliary_head:
                labelled = labelled or _relabelled(data_samples, target)
                auxiliary = network._auxiliary_head_forward_train(features, labelled)
                losses.update({f'{name}.{key}': value for key, value in auxiliary.items()})
        return logits

    def _mask_losses(
        self, logits: list[Tensor], target: Tensor, weight: float
    ) -> dict[str, Tensor]:
        """Voting losses or plain cross entropies of the mains, times ``weight``, and diagnostics."""
        valid = target != self.swv.ignore_index
        number = valid.sum()
        if not self.swv.enabled:
            return {
                f'loss_ce_{self.names[i]}': weight * self.swv.mean(logits[i], target, None, number)
                for i in self.mains
            }
        losses: dict[str, Tensor] = {}
        votes = [hard_vote(x) for x in logits]
        agreed, total = [], []
        for i in self.mains:
            voting = self.swv.voting(votes[(i + 1) % 3], votes[(i + 2) % 3], valid, number)
            loss = self.swv.mean(logits[i], target, voting, number)
            losses[f'loss_swv_{self.names[i]}'] = weight * loss
            agreed.append(voting.agreed)
            total.append(voting.total)
        count = len(self.mains) * number.clamp(min=1)
        losses['agreement'] = sum(agreed) / count
        losses['vote_weight_mean'] = sum(total) / count
        return losses

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
            return self.logits_of(0, inputs)
        mean = sum(self.logits_of(i, inputs).softmax(1) for i in range(len(self.networks)))
        mean = mean / len(self.networks)
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()


def _relabelled(data_samples: Sequence[Any], target: Tensor) -> list[Any]:
    """New samples with the masks that auxiliary heads learn from."""
    return [
        SegDataSample(metainfo=sample.metainfo, gt_sem_seg=PixelData(data=mask[None]))
        for sample, mask in zip(data_samples, target, strict=True)
    ]


def _check(
    num_networks: int,
    lambda_: float,
    mask_weight: float | None,
    prediction: str,
) -> None:
    """Refuse values out of range, by the name of their leaf."""
    if num_networks not in (1, 3):
        raise ConfigError(f'model.num_networks: found {num_networks!r}, expected 1 or 3')
    if not isinstance(lambda_, Real) or not 0 <= lambda_ <= 1:
        raise ConfigError(f'model.lambda_: found {lambda_!r}, expected a number from 0 to 1')
    number = isinstance(mask_weight, Real) and not isinstance(mask_weight, bool)
    if mask_weight is not None and not (number and 0 <= mask_weight < math.inf):
        raise ConfigError(
            f'model.mask_weight: found {mask_weight!r}, expected a number >= 0, or None for 1 - lambda_'
        )
    if prediction not in ('a', 'mean'):
        raise ConfigError(f"model.prediction: found {prediction!r}, expected 'a' or 'mean'")
