"""Scores: confusion matrices, protocols A and B, image-level labels, floors."""

from arml.evaluation.image_label import ImageLabelMetric
from arml.evaluation.tissue_metric import TissueMetric

__all__ = ['ImageLabelMetric', 'TissueMetric']
