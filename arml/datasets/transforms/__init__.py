"""Pipeline steps of tissue data sets."""

from arml.datasets.transforms.augment import (
    RandomBrightnessContrast,
    RandomGaussianBlur,
    RandomRotate90,
    RandomStainJitter,
    jitter_stain,
)
from arml.datasets.transforms.extras import LoadTileExtra, read_extra
from arml.datasets.transforms.loading import (
    ImageLabelFromMask,
    LoadTile,
    LoadTissueMask,
    decode_tile,
    label_from_mask,
    read_raw_mask,
)
from arml.datasets.transforms.packing import PackTissueInputs
from arml.datasets.transforms.recipes import RECIPES, Augment

__all__ = [
    'RECIPES',
    'Augment',
    'ImageLabelFromMask',
    'LoadTile',
    'LoadTileExtra',
    'LoadTissueMask',
    'PackTissueInputs',
    'RandomBrightnessContrast',
    'RandomGaussianBlur',
    'RandomRotate90',
    'RandomStainJitter',
    'decode_tile',
    'jitter_stain',
    'label_from_mask',
    'read_extra',
    'read_raw_mask',
]
