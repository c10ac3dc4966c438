"""Backbones: networks from an image to feature maps."""

from arml.models.backbones.resnest import ResNeSt
from arml.models.backbones.resnet38 import ResNet38d
from arml.models.backbones.timm_backbone import TimmBackbone

__all__ = ['ResNeSt', 'ResNet38d', 'TimmBackbone']
