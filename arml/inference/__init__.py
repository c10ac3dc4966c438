"""Prediction: from an array and its microns per pixel to class probabilities."""

from arml.inference.predictor import TissuePredictor

__all__ = ['TissuePredictor']
