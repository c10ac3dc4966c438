"""Named points of a worker's work, between which it holds locks and tells others, and a death at one of them."""

import os
import signal
from typing import Any

import optuna
from filelock import BaseFileLock

from arml.ablation import ledger, worker
from arml.ablation.queue import Work

#: Functions of a worker's own process; its trainings are other ones.
POINTS: dict[str, tuple[Any, str]] = {
    'lock': (BaseFileLock, 'acquire'),
    'ask': (optuna.Study, 'ask'),
    'adopt': (Work, 'adopt'),
    'attempt': (worker, 'mark_attempt'),
    'ledger': (ledger, 'write_text'),
    'rename': (os, 'replace'),
    'tell': (optuna.Study, 'tell'),
}
#: Right before a call and right after it.
MOMENTS = ('before', 'after')


def meet(point: str, moment: str, number: int) -> None:
    """Have this process killed at a point, in whatever thread it comes to it.

    Args:
        point: One of ``POINTS``.
        moment: One of ``MOMENTS``.
        number: At which of its calls, counted from 1.
    """
    owner, name = POINTS[point]
    call, left = getattr(owner, name), [number]

    def last(*args, **kwargs):
        left[0] -= 1
        if moment == 'before' and left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        found = call(*args, **kwargs)
        if moment == 'after' and left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, last)
