"""Scores: confusion matrices, protocols A and B, image-level labels, floors."""

from arml.evaluation.tissue_metric import TissueMetric

__all__ = ['TissueMetric']
