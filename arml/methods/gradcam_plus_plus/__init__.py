"""Grad-CAM++ (Chattopadhay et al., WACV 2018): class maps weighed by the gradients of each position."""

from arml.methods.gradcam_plus_plus.maps import GradCAMPlusPlusMaps

__all__ = ['GradCAMPlusPlusMaps']
