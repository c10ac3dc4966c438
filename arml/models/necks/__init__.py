"""Necks: what lies between a backbone and the class maps."""

from arml.models.necks.ars import ARSNeck

__all__ = ['ARSNeck']
