"""arml: weakly supervised segmentation of histology images on OpenMMLab."""

from arml import compat
from arml.version import __version__

compat.cure_torchvision()

__all__ = ['__version__']
