"""OEEM (MICCAI 2022): masks from multi-scale CAM, a loss that trusts the pixels that are learnt easily.

The classifier is ``arml.MultiLabelClassifier`` with ``arml.ConcatNeck``, the masks are those of
``arml.WeightMaps(relu=False)`` and ``arml.MaskRule``, the segmentor is ``arml.SingleNetworkSegmentor``; only the
loss is of its own. ``docs/methods/oeem.md`` says where paper, released code and this differ.
"""

from arml.methods.oeem.functional import (
    at_most_one_class,
    easy_example_loss,
    easy_example_weights,
)
from arml.methods.oeem.loss import OEEMLoss

__all__ = ['OEEMLoss', 'at_most_one_class', 'easy_example_loss', 'easy_example_weights']
