"""Ablations: the cells of a sweep, run once each and kept in a ledger."""

from arml.ablation.cells import Cell, cell_of, cells_of, rows_of, tried_in
from arml.ablation.ledger import Ledger
from arml.ablation.process import command_of
from arml.ablation.shipped import shipped_lines
from arml.ablation.space import Distribution
from arml.ablation.sweep_file import Sweep, read_sweep
from arml.ablation.values import as_options, read_options

__all__ = [
    'Cell', 'Distribution', 'Ledger', 'Sweep', 'as_options', 'cell_of', 'cells_of', 'command_of', 'read_options',
    'read_sweep', 'rows_of', 'shipped_lines', 'tried_in',
]  # fmt: skip
