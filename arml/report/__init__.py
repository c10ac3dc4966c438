"""What a run leaves for a reader: tables, curves, pictures. Reads ``result.json``, never torch."""

from arml.report.curves import draw_curves
from arml.report.result import load_result
from arml.report.seeds import aggregate, seeds_table
from arml.report.table import markdown_table, text_table
from arml.report.tiles import TileRow, draw_legend, tile_sheet

__all__ = [
    'TileRow',
    'aggregate',
    'draw_curves',
    'draw_legend',
    'load_result',
    'markdown_table',
    'seeds_table',
    'text_table',
    'tile_sheet',
]
