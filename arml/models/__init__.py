"""Networks, necks, heads, losses and segmentors."""

from arml.models import backbones, classifiers, necks, weights

__all__ = ['backbones', 'classifiers', 'necks', 'weights']
