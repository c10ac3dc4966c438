"""Ablations: the cells of a sweep, run once each and kept in a ledger."""

from arml.ablation.cells import Cell, cells_of, rows_of
from arml.ablation.grid import Sweep, read_options, read_sweep
from arml.ablation.ledger import Ledger
from arml.ablation.run import command_of, run_cells

__all__ = [
    'Cell', 'Ledger', 'Sweep', 'cells_of', 'command_of', 'read_options', 'read_sweep', 'rows_of', 'run_cells',
]  # fmt: skip
