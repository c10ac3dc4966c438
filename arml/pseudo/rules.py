"""How class maps become a mask.

The seam for other rules (thresholds, class adjustments, CRF): a class of the registry MASK_RULES
with ``needs_image`` and ``__call__(maps, present, image)`` that returns a :class:`Mask`. A rule that
also weighs or scores its decision names that in a class attribute ``extras`` and gives it in
``Mask.extras``; :func:`arml.pseudo.generate.generate` keeps it beside the masks.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from arml.datasets.white_area import white_area
from arml.errors import ConfigError
from arml.registry import MASK_RULES

WHITE_FIELDS = {'threshold', 'min_size'}


@dataclass
class Mask:
    """A pseudo mask and the maps it was decided by.

    Attributes:
        mask: uint8, (H, W): 0..K-1 for tissue, K for background.
        maps: Normalised and gated, float in [0, 1], (K, H, W).
        extras: What else the rule decided, by the names in its ``extras``: float32 or integer,
            (H, W) or () for one number a tile.
    """

    mask: np.ndarray
    maps: Tensor
    extras: dict[str, np.ndarray] = field(default_factory=dict)


def joint_min_max(maps: Tensor) -> Tensor:
    """Scale the maps of a tile to [0, 1] with one minimum and one maximum over all classes.

    Args:
        maps: Float, (K, H, W).

    Returns:
        Float, (K, H, W); 0 everywhere if the maps are constant.
    """
    low, high = maps.min(), maps.max()
    spread = high - low
    return torch.where(spread > 0, (maps - low) / torch.where(spread > 0, spread, 1), 0)


def per_class_min_max(maps: Tensor) -> Tensor:
    """Scale each map to [0, 1] by its own minimum and maximum; a constant map becomes 0.

    Args:
        maps: Float, (K, H, W).
    """
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (maps - low) / torch.where(spread > 0, spread, 1), 0)


def gate(maps: Tensor, present: Tensor) -> Tensor:
    """Set the maps of absent classes to 0.

    Args:
        maps: Float, (K, H, W).
        present: bool, (K,).
    """
    return maps * present.to(maps.device, maps.dtype)[:, None, None]


def strongest_present(maps: Tensor, present: Tensor) -> Tensor:
    """Decide each pixel for the present class with the largest value.

    An absent class never wins, not even a tie; among equal present classes the first one does.

    Args:
        maps: Float, (K, H, W).
        present: bool, (K,).

    Returns:
        int64, (H, W): 0..K-1; K everywhere if no class is present.
    """
    present = present.to(maps.device, torch.bool)
    allowed = maps.masked_fill(~present[:, None, None], -torch.inf)
    nothing = torch.full_like(maps[0], len(maps), dtype=torch.int64)
    return torch.where(present.any(), allowed.argmax(dim=0), nothing)


NORMALISATIONS = {'joint': joint_min_max, 'per_class': per_class_min_max}


@MASK_RULES.register_module()
class MaskRule:
    """Normalise, gate by the classes present, arg-max; white areas are background where asked for.

    Args:
        normalisation: ``joint`` (one scale per tile, the released code's) or ``per_class``.
        white_area: None, or ``dict(threshold=200, min_size=50)`` in gray levels and pixels: such
            regions become background (K) whatever the maps say. For LUAD-HistoSeg only.

    Raises:
        ConfigError: If an argument is unknown.
    """

    #: Names of the arrays that a call gives beside the mask.
    extras: ClassVar[tuple[str, ...]] = ()

    def __init__(self, normalisation: str = 'joint', white_area: dict | None = None) -> None:
        if normalisation not in NORMALISATIONS:
            raise ConfigError(
                f'MaskRule.normalisation: found {normalisation!r}, expected one of '
                f'{", ".join(NORMALISATIONS)}.'
            )
        if white_area is not None and not set(white_area) <= WHITE_FIELDS:
            raise ConfigError(
                f'MaskRule.white_area: found {", ".join(sorted(set(white_area) - WHITE_FIELDS))}, '
                f'expected {", ".join(sorted(WHITE_FIELDS))}.'
            )
        self.normalisation = normalisation
        self.white_area = None if white_area is None else dict(white_area)

    @property
    def needs_image(self) -> bool:
        """Whether the rule looks at the image."""
        return self.white_area is not None

    def __call__(self, maps: Tensor, present: Tensor, image: np.ndarray | None = None) -> Mask:
        """Make the mask of one tile.

        Args:
            maps: Raw maps at the size of the tile, float, (K, H, W).
            present: Classes of the tile, bool, (K,).
            image: The tile, RGB, uint8, (H, W, 3); needed for white areas only.

        Returns:
            The mask and the normalised maps. A tile without any class is background throughout.

        Raises:
            ValueError: If shapes disagree or the image is missing.
        """
        present = torch.as_tensor(present)
        if maps.dim() != 3 or tuple(present.shape) != (len(maps),):
            raise ValueError(
                'MaskRule: expected maps (K, H, W) and present (K,), found '
                f'{tuple(maps.shape)} and {tuple(present.shape)}'
            )
        normalised = NORMALISATIONS[self.normalisation](maps.float())
        mask = strongest_present(normalised, present).cpu().numpy().astype(np.uint8)
        if self.white_area is not None:
            if image is None or image.shape[:2] != mask.shape:
                found = None if image is None else image.shape
                raise ValueError(
                    f'MaskRule.white_area needs the image (H, W, 3) of the maps {mask.shape}, '
                    f'found {found}'
                )
            mask[white_area(image, **self.white_area)] = len(maps)
        return Mask(mask, gate(normalised, present))
