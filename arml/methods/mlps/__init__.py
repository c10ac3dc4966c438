"""MLPS (Medical Image Analysis 2022): dropout attention, masks of three layers, a gate at test time.

``docs/methods/mlps.md`` says where paper, released code and this differ.
"""

from arml.methods.mlps.attention import ProgressiveDropoutAttention
from arml.methods.mlps.classifier import MLPSClassifier
from arml.methods.mlps.functional import (
    class_activations,
    drop_strongest,
    dropout_attention,
    dropout_threshold,
    gate_logits,
    passing,
)
from arml.methods.mlps.gate import ClassifierGate
from arml.methods.mlps.masks import LoadFurtherMasks
from arml.methods.mlps.segmentor import MLPSSegmentor

__all__ = [
    'ClassifierGate',
    'LoadFurtherMasks',
    'MLPSClassifier',
    'MLPSSegmentor',
    'ProgressiveDropoutAttention',
    'class_activations',
    'drop_strongest',
    'dropout_attention',
    'dropout_threshold',
    'gate_logits',
    'passing',
]
