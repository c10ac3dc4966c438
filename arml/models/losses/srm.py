"""Relation of mutual learning (SRM): networks as teachers of each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.models.losses.distillation import (
    KL_AXES,
    TEMPERATURE,
    correlation,
    kl,
    mutual_joint_relation,
    point,
    released_point,
)
from arml.models.losses.functional import mutual_structure_relation
from arml.models.losses.mutual import DIRECTIONS, Relation, Roles, mutual_relation
from arml.models.losses.precision import at_least_float32
from arml.registry import MODELS

RELATIONS = ('none', 'structure', 'point', 'kl', 'crl_joint', 'crl_correlation')
POINT_FORMS = ('paper', 'released_pixel', 'released_batch')
SAMPLES = ('pixel', 'region', 'image')
RESOLUTIONS = ('logits', 'mask')


@MODELS.register_module()
class SRMLoss(nn.Module):
    r"""Relation of every network to its peers (ARML eqs. 5-8 and Table 4).

    .. math:: L_a = \tfrac{1}{2} \bigl(L(z_a, z_b) + L(z_a, z_c)\bigr)

    where L takes a student and a teacher, and the structure relation is

    .. math:: L_{st} = \alpha L_{dist} + \beta L_{ang}

    Args:
        enabled: Whether the relation is part of the training loss.
        relation: ``'none'`` (as ``enabled=False``), ``'structure'`` (L_st), ``'point'`` (L_pt),
            ``'kl'`` (Hinton's divergence), ``'crl_joint'`` (divergence between a network and the
            mean of its peers' logits) or ``'crl_correlation'`` (Gram matrices of whole images).
        alpha: Weight of the distances, >= 0; read by ``'structure'``.
        beta: Weight of the angles, >= 0; read by ``'structure'``.
        samples: What a sample of the structure relation is. ``'pixel'`` (the paper's "samples in
            the data embedding space of an image"): ``per_tile`` random pixels of each tile.
            ``'region'``: the mean logits of each cell of a grid over the tile. Both relate within
            a tile and average over the batch. ``'image'`` (the released code): the whole logit
            tensor of an image; the samples are the images of the batch.
        per_tile: Samples of each tile, in [1, 64]; the cost grows with its third power.
            ``'pixel'``: pixels drawn without repetition, all if there are fewer. ``'region'``: the
            grid has floor(sqrt(per_tile)) rows and columns, at most those of the logits.
        resolution: Logits the relation is taken of: ``'logits'`` as the head gives them, or
            ``'mask'``, upsampled to the mask (the released code).
        point_form: ``'paper'`` (distance of class probabilities), ``'released_pixel'`` or
            ``'released_batch'`` (squared difference after a softmax over pixels or images); read
            by ``'point'``.
        temperature: Divisor of the logits, without unit, > 0; read by ``'kl'`` and
            ``'crl_joint'``.
        axis: Axis of their softmax, ``'class'`` or ``'pixel'`` (the authors' history).
        direction: ``'from_peers'``: a network is the student of its peers (the released code).
            ``'to_peers'``: it is their teacher ("one network serves as teacher to supervise the
            other two students"), so that its loss moves the peers.
        teacher_gradient: Whether a relation moves its teacher too.

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
        point_form: str = 'paper',
        temperature: float = TEMPERATURE,
        axis: str = 'class',
        direction: str = 'from_peers',
        teacher_gradient: bool = False,
    ) -> None:
        super().__init__()
        _check_word('relation', relation, RELATIONS)
        _check_word('samples', samples, SAMPLES)
        _check_word('resolution', resolution, RESOLUTIONS)
        _check_word('point_form', point_form, POINT_FORMS)
        _check_word('axis', axis, KL_AXES)
        _check_word('direction', direction, DIRECTIONS)
        for name, switch in (('enabled', enabled), ('teacher_gradient', teacher_gradient)):
            if not isinstance(switch, bool):
                raise ConfigError(f'srm.{name}: found {switch!r}, expected True or False')
        for name, weight in (('alpha', alpha), ('beta', beta)):
            if not _is_number(weight) or not 0 <= weight < math.inf:
                raise ConfigError(f'srm.{name}: found {weight!r}, expected a finite number >= 0')
        if not _is_number(temperature) or not 0 < temperature < math.inf:
            raise ConfigError(
                f'srm.temperature: found {temperature!r}, expected a finite number > 0'
            )
        if not isinstance(per_tile, int) or isinstance(per_tile, bool) or not 1 <= per_tile <= 64:
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
        self.point_form = point_form
        self.temperature = float(temperature)
        self.axis = axis
        self.direction = direction
        self.teacher_gradient = teacher_gradient

    @property
    def active(self) -> bool:
        """Whether there is a relation to compute: switched on, and not ``'none'``."""
        return self.enabled and self.relation != 'none'

    def forward(self, logits: Sequence[Tensor], mains: Sequence[int] | None = None) -> list[Tensor]:
        """Relation loss of every main network.

        Pixel positions are drawn with torch's global generator of the logits' device; all
        networks are read at the same positions.

        Args:
            logits: Scores before softmax of each network, finite float, all (N, K, h, w). Some may
                carry no gradient.
            mains: Indices of the networks whose loss is wanted; all in order if None.

        Returns:
            One scalar per main network, float32, or float64 for float64 logits. It has a gradient
            for its students only (``'from_peers'``: the main network), unless
            ``teacher_gradient``. The graphs of the scalars share buffers: sum them, or keep the
            graph between backward passes.

        Raises:
            ValueError: If the relation is ``'none'``, fewer than two networks are given, ``mains``
                is not distinct indices of them, or shapes differ.
        """
        roles = Roles(len(logits), mains, self.direction, self.teacher_gradient)
        shapes = [tuple(x.shape) for x in logits]
        if len(set(shapes)) > 1 or len(shapes[0]) != 4:
            raise ValueError(
                'logits of all networks must have one shape, (N, K, h, w), got '
                + ' and '.join(map(str, shapes))
            )
        if self.relation == 'structure':
            return mutual_structure_relation(self._samples(logits), self.alpha, self.beta, roles)
        if self.relation == 'crl_joint':
            return mutual_joint_relation(logits, self.temperature, self.axis, roles)
        return mutual_relation(self._relation(), logits, roles)

    def _relation(self) -> Relation:
        """The relation between logits of two networks."""
        if self.relation == 'kl':
            return kl(self.temperature, self.axis)
        if self.relation == 'crl_correlation':
            return correlation()
        if self.relation == 'point':
            if self.point_form == 'paper':
                return point()
            return released_point(self.point_form.removeprefix('released_'))
        raise ValueError("srm.relation is 'none': there is no loss, ask for `active` first")

    def _samples(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """Samples of every network, (N, K h w) of images or (N, samples, K) within tiles."""
        if self.samples == 'image':
            return [x.flatten(1) for x in logits]
        return self._pixels(logits) if self.samples == 'pixel' else self._regions(logits)

    def _pixels(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """The same random pixels of every network, (N, per_tile, K)."""
        number, _, height, width = logits[0].shape
        flat = [x.flatten(2) for x in logits]
        if self.per_tile < height * width:
            keys = torch.rand(number, height * width, device=logits[0].device)
            chosen = keys.topk(self.per_tile, sorted=False).indices.unsqueeze(1)
            flat = [x.gather(2, chosen.expand(-1, x.shape[1], -1)) for x in flat]
        return [x.mT for x in flat]

    def _regions(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """Mean logits of every cell of a grid, (N, cells, K)."""
        side = math.isqrt(self.per_tile)
        grid = [min(side, length) for length in logits[0].shape[2:]]
        # Half precision would round the means.
        return [F.adaptive_avg_pool2d(at_least_float32(x), grid).flatten(2).mT for x in logits]

    def extra_repr(self) -> str:
        """The settings, for printing."""
        names = (
            'enabled', 'relation', 'alpha', 'beta', 'samples', 'per_tile', 'resolution',
            'point_form', 'temperature', 'axis', 'direction', 'teacher_gradient',
        )  # fmt: skip
        return ', '.join(f'{name}={getattr(self, name)}' for name in names)


def _is_number(found: object) -> bool:
    return isinstance(found, Real) and not isinstance(found, bool)


def _check_word(name: str, found: str, expected: tuple[str, ...]) -> None:
    if found not in expected:
        raise ConfigError(f'srm.{name}: found {found!r}, expected one of {", ".join(expected)}')
