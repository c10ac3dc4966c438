"""From a classifier to pseudo masks: maps, mask rules, files."""

from arml.pseudo.gradcam import GradCAMMaps
from arml.pseudo.maps import WeightMaps
from arml.pseudo.rules import Mask, MaskRule

__all__ = ['GradCAMMaps', 'Mask', 'MaskRule', 'WeightMaps']
