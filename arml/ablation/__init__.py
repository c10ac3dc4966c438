"""Ablations: the cells of a sweep, run once each and kept in a ledger."""

from arml.ablation.cells import Cell, cell_of, cells_of, rows_of
from arml.ablation.ledger import Ledger
from arml.ablation.process import command_of
from arml.ablation.space import Distribution
from arml.ablation.sweep_file import Sweep, read_sweep
from arml.ablation.values import read_options

__all__ = [
    'Cell', 'Distribution', 'Ledger', 'Sweep', 'cell_of', 'cells_of', 'command_of', 'read_options', 'read_sweep',
    'rows_of',
]  # fmt: skip
