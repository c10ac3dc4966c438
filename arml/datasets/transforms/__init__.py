"""Pipeline steps of tissue data sets."""

from arml.datasets.transforms.augment import (
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

__all__ = [
    'ImageLabelFromMask',
    'LoadTile',
    'LoadTileExtra',
    'LoadTissueMask',
    'PackTissueInputs',
    'RandomGaussianBlur',
    'RandomRotate90',
    'RandomStainJitter',
    'decode_tile',
    'jitter_stain',
    'label_from_mask',
    'read_extra',
    'read_raw_mask',
]
