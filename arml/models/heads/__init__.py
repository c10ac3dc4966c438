"""Decode heads beside those of mmseg."""

from arml.models.heads.released_psp import ReleasedPSPHead

__all__ = ['ReleasedPSPHead']
