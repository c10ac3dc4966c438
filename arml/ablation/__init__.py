"""Ablations: the cells of a sweep, run once each and kept in a ledger."""

from arml.ablation.grid import Sweep, read_sweep
from arml.ablation.ledger import Ledger
from arml.ablation.run import Cell, cells_of, run_cells

__all__ = ['Cell', 'Ledger', 'Sweep', 'cells_of', 'read_sweep', 'run_cells']
