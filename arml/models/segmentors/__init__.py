"""Segmentors of arml."""

from arml.models.segmentors.mutual_learning import MutualLearningSegmentor
from arml.models.segmentors.single_network import SingleNetworkSegmentor

__all__ = ['MutualLearningSegmentor', 'SingleNetworkSegmentor']
