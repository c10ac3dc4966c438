"""Necks: what lies between a backbone and the class maps."""

from arml.models.necks.ars import ARSNeck
from arml.models.necks.concat import ConcatNeck

__all__ = ['ARSNeck', 'ConcatNeck']
