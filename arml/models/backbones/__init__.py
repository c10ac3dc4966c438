"""Backbones: networks from an image to feature maps."""

from arml.models.backbones.resnet38 import ResNet38d
from arml.models.backbones.timm_backbone import TimmBackbone

__all__ = ['ResNet38d', 'TimmBackbone']
