"""The history of a stage as JSON lines: one row per training epoch and one per validation."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook

from arml.atomic import write_text
from arml.errors import ArmlError
from arml.registry import HOOKS


@HOOKS.register_module()
class HistoryHook(Hook):
    """Write ``history.jsonl``: losses averaged over the epoch, learning rate, validation metrics.

    The losses are summed on their device, so that the step is not made to wait for them. After a
    resume the rows of epochs that are repeated are dropped. A loss that is not finite ends the
    training with an error that names it, before it is saved.
    """

    priority = 'LOW'  # before the checkpoint hook, so that a saved epoch has its rows

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._count = 0

    def before_train(self, runner) -> None:
        """Drop the rows of epochs that will be run again."""
        if not is_main_process():
            return
        path = self._path(runner)
        rows = read_history(path) if path.is_file() and runner.epoch > 0 else []
        self._write(path, [row for row in rows if row['epoch'] <= runner.epoch])

    def before_train_epoch(self, runner) -> None:
        """Start the sums of an epoch."""
        self._sums, self._count = {}, 0

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Add this iteration's losses and diagnostics, on their device."""
        for name, value in (outputs or {}).items():
            if isinstance(value, torch.Tensor) and value.numel() == 1:
                value = value.detach().double().reshape(())
                self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1

    def after_train_epoch(self, runner) -> None:
        """Write the epoch's row; refuse to go on from a loss that is not finite."""
        names = sorted(self._sums)
        if not names:
            return
        means = torch.stack([self._sums[name] for name in names]) / max(self._count, 1)
        all_reduce(means, op='mean')
        row = {'epoch': runner.epoch + 1, 'iter': runner.iter, 'kind': 'train'}
        row.update(_learning_rates(runner.optim_wrapper.get_lr()))
        row.update(zip(names, means.tolist(), strict=True))
        bad = [name for name in names if not math.isfinite(row[name])]
        if bad:
            raise ArmlError(
                f'training: {", ".join(bad)} is not finite in epoch {runner.epoch + 1}. The checkpoint of '
                'the epoch before is kept. Lower optim_wrapper.optimizer.lr, or set '
                'optim_wrapper.clip_grad=dict(max_norm=1.0), and run again: with another setting this '
                'stage begins anew, the finished ones before it are reused.'
            )
        self._append(runner, row)

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Write the validation's row."""
        row = {'epoch': runner.epoch, 'iter': runner.iter, 'kind': 'val'}
        row.update({k: float(v) for k, v in (metrics or {}).items() if _is_number(v)})
        self._append(runner, row)

    def _append(self, runner, row: dict) -> None:
        if is_main_process():
            path = self._path(runner)
            self._write(path, [*(read_history(path) if path.is_file() else []), row])

    @staticmethod
    def _write(path: Path, rows: list[dict]) -> None:
        write_text(path, ''.join(json.dumps(row) + '\n' for row in rows))

    @staticmethod
    def _path(runner) -> Path:
        return Path(runner.work_dir) / 'history.jsonl'


def read_history(path: Path) -> list[dict]:
    """The rows of a ``history.jsonl``."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def _learning_rates(found: dict[str, list[float]]) -> dict[str, float]:
    """The rate of the first group: ``lr``, or of each of several optimisers ``<name>.lr``."""
    return {
        name: rates[0]
        for name, rates in found.items()
        if (name == 'lr' or name.endswith('.lr')) and not name.startswith('base_') and rates
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (
        hasattr(value, 'item') and getattr(value, 'ndim', 1) == 0
    )
