"""Structure relation of mutual learning (SRM): peers as teachers of each other's geometry."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.models.losses.functional import mutual_structure_relation, point_relation
from arml.registry import MODELS

RELATIONS = ('structure', 'point')
SAMPLES = ('pixel', 'image')
RESOLUTIONS = ('logits', 'mask')


@MODELS.register_module()
class SRMLoss(nn.Module):
    r"""Relation of every network to its peers (ARML eqs. 5-8), mean over the peers as teachers.

    .. math:: L_a = \tfrac{1}{2} \bigl(L(z_a, z_b) + L(z_a, z_c)\bigr), \quad
              L_{st} = \alpha L_{dist} + \beta L_{ang}

    Args:
        enabled: Whether the relation is part of the training loss.
        relation: ``'structure'`` (L_st) or ``'point'`` (L_pt, over the class axis of every pixel;
            ``alpha``, ``beta``, ``samples`` and ``per_tile`` are not read).
        alpha: Weight of the distances, >= 0.
        beta: Weight of the angles, >= 0.
        samples: What a sample of the structure relation is. ``'pixel'`` (the paper's "samples in
            the data embedding space of an image"): ``per_tile`` random pixels of each tile, the
            relation is taken within a tile and averaged over the batch. ``'image'`` (the released
            code): the whole logit tensor of an image; the samples are the images of the batch.
        per_tile: Pixels drawn from each tile without repetition, in [1, 64]; all if there are
            fewer. The cost grows with its third power.
        resolution: Logits the samples are taken from: ``'logits'`` as the head gives them, or
            ``'mask'``, upsampled to the mask (the released code).

    Raises:
        ConfigError: If a value is none of the above.
    """

    def __init__(
        self,
        enabled: bool = True,
        relation: str = 'structure',
        alpha: float = 30.0,
        beta: float = 60.0,
        samples: str = 'pixel',
        per_tile: int = 64,
        resolution: str = 'logits',
    ) -> None:
        super().__init__()
        _check_word('relation', relation, RELATIONS)
        _check_word('samples', samples, SAMPLES)
        _check_word('resolution', resolution, RESOLUTIONS)
        for name, weight in (('alpha', alpha), ('beta', beta)):
            if not isinstance(weight, Real) or not 0 <= weight < float('inf'):
                raise ConfigError(f'srm.{name}: found {weight!r}, expected a finite number >= 0')
        if not isinstance(per_tile, int) or not 1 <= per_tile <= 64:
            raise ConfigError(
                f'srm.per_tile: found {per_tile!r}, expected an integer from 1 to 64 (the cost '
                'grows with its third power)'
            )
        self.enabled = enabled
        self.relation = relation
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.samples = samples
        self.per_tile = per_tile
        self.resolution = resolution

    def forward(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """Relation loss of every network.

        Pixel positions are drawn with torch's global generator of the logits' device; all
        networks are read at the same positions.

        Args:
            logits: Scores before softmax of each network, float, all (N, K, h, w).

        Returns:
            One scalar per network, with a gradient for that network's logits only. The graphs of
            the scalars share buffers: sum them, or keep the graph between backward passes.

        Raises:
            ValueError: If fewer than two networks are given or shapes differ.
        """
        if self.relation == 'point':
            return _mutual_point_relation(logits)
        samples = _images(logits) if self.samples == 'image' else self._pixels(logits)
        return mutual_structure_relation(samples, self.alpha, self.beta)

    def _pixels(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """The same random pixels of every network, (N, per_tile, K)."""
        number, _, height, width = logits[0].shape
        flat = [x.flatten(2) for x in logits]
        if self.per_tile < height * width:
            keys = torch.rand(number, height * width, device=logits[0].device)
            chosen = keys.topk(self.per_tile, sorted=False).indices.unsqueeze(1)
            flat = [x.gather(2, chosen.expand(-1, x.shape[1], -1)) for x in flat]
        return [x.mT for x in flat]

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return (
            f'enabled={self.enabled}, relation={self.relation}, alpha={self.alpha}, '
            f'beta={self.beta}, samples={self.samples}, per_tile={self.per_tile}, '
            f'resolution={self.resolution}'
        )


def _images(logits: Sequence[Tensor]) -> list[Tensor]:
    """One sample per image, (N, K h w)."""
    return [x.flatten(1) for x in logits]


def _mutual_point_relation(logits: Sequence[Tensor]) -> list[Tensor]:
    """Point relation of every network, mean over its peers as teachers."""
    if len(logits) < 2:
        raise ValueError(f'a relation needs at least two networks, got {len(logits)}')
    losses = []
    for index, student in enumerate(logits):
        teachers = [x for other, x in enumerate(logits) if other != index]
        losses.append(torch.stack([point_relation(student, x) for x in teachers]).mean())
    return losses


def _check_word(name: str, found: str, expected: tuple[str, ...]) -> None:
    if found not in expected:
        raise ConfigError(f'srm.{name}: found {found!r}, expected one of {", ".join(expected)}')
