"""Networks, necks, heads, losses and segmentors."""

from arml.models import backbones, classifiers, losses, necks, segmentors, weights
from arml.models.data_preprocessor import TissueDataPreProcessor

__all__ = [
    'TissueDataPreProcessor',
    'backbones',
    'classifiers',
    'losses',
    'necks',
    'segmentors',
    'weights',
]
