"""Tracking of runs: W&B, TensorBoard, and W&B filled again from a ledger.

``export_ledger(rows, sweep, project=None, entity=None) -> int`` is what ``tools/sweep.py export --to
wandb`` calls; it returns the number of runs written.
"""

from arml.tracking.backends import TensorboardVisBackend, WandbVisBackend
from arml.tracking.export import export_ledger
from arml.tracking.session import Session, current, follow
from arml.tracking.tracker import Made, RunInfo

__all__ = [
    'Made', 'RunInfo', 'Session', 'TensorboardVisBackend', 'WandbVisBackend', 'current',
    'export_ledger', 'follow',
]  # fmt: skip
