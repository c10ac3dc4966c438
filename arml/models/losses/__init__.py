"""Losses of arml: pure functions in ``functional``, configurable modules beside it."""

from arml.models.losses.pixel import PixelCrossEntropy
from arml.models.losses.srm import SRMLoss
from arml.models.losses.swv import SWVLoss

__all__ = ['PixelCrossEntropy', 'SRMLoss', 'SWVLoss']
