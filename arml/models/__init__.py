"""Networks, necks, heads, losses and segmentors."""

from arml.models import backbones, classifiers, heads, losses, necks, segmentors, weights
from arml.models.data_preprocessor import TissueDataPreProcessor

__all__ = [
    'TissueDataPreProcessor',
    'backbones',
    'classifiers',
    'heads',
    'losses',
    'necks',
    'segmentors',
    'weights',
]
