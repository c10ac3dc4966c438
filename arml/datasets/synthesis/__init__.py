"""Procedurally drawn H&E-like tissue with exact masks: pure functions of a seed."""

from arml.datasets.synthesis.layout import CLASSES, COMBINATIONS, PALETTE, draw_layout
from arml.datasets.synthesis.tile import (
    MICRONS_PER_PIXEL,
    SPLITS,
    TILES_PER_CASE,
    Tile,
    draw_tile,
    label_of,
)
from arml.datasets.synthesis.writer import format_table, write_dataset

__all__ = [
    'CLASSES',
    'COMBINATIONS',
    'MICRONS_PER_PIXEL',
    'PALETTE',
    'SPLITS',
    'TILES_PER_CASE',
    'Tile',
    'draw_layout',
    'draw_tile',
    'format_table',
    'label_of',
    'write_dataset',
]
