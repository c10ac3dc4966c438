"""Decode heads beside those of mmseg."""

from arml.models.heads.deeplabv3plus import DeepLabV3PlusHead
from arml.models.heads.released_psp import ReleasedPSPHead

__all__ = ['DeepLabV3PlusHead', 'ReleasedPSPHead']
