"""Classifiers of image-level labels, from which class activation maps are read."""

from arml.models.classifiers.head import LinearMapHead
from arml.models.classifiers.loss import MultiLabelSoftMarginLoss
from arml.models.classifiers.multi_label import MultiLabelClassifier

__all__ = ['LinearMapHead', 'MultiLabelClassifier', 'MultiLabelSoftMarginLoss']
