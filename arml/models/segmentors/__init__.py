"""Segmentors of arml."""

from arml.models.segmentors.mutual_learning import MutualLearningSegmentor

__all__ = ['MutualLearningSegmentor']
