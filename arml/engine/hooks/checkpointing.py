"""Checkpoints after validation, whole or not at all, the old one removed only afterwards."""

import math
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook

from arml.atomic import write_text
from arml.engine import checkpoint as checkpoints
from arml.errors import ConfigError
from arml.registry import HOOKS


@HOOKS.register_module()
class StageCheckpointHook(Hook):
    """Save the training state each ``interval`` epochs and remember the best by validation.

    An epoch's state is written after its validation, so a kill in between repeats both and no
    validation is lost. ``last_checkpoint`` names the newest whole file (mmengine's convention); the
    previous one is removed only when that is on disk.

    Args:
        interval: Epochs between two checkpoints. The last epoch is always saved.
        save_best: Name of the validation metric that chooses, for example ``mIoU``; None keeps the
            last epoch.
        rule: ``greater`` or ``less``: which value is better.
        meta: Plain values written into every checkpoint under ``meta['arml']``.

    Raises:
        ConfigError: If ``interval`` < 1, ``rule`` is unknown, or the validation does not report
            ``save_best``.
    """

    priority = 'VERY_LOW'
    out_dir: str | None = None  # mmengine's Runner sets it on checkpoint hooks

    def __init__(
        self,
        interval: int = 1,
        save_best: str | None = None,
        rule: str = 'greater',
        meta: dict[str, Any] | None = None,
    ) -> None:
        if interval < 1:
            raise ConfigError(
                f'default_hooks.checkpoint.interval: found {interval}, expected >= 1.'
            )
        if rule not in ('greater', 'less'):
            raise ConfigError(
                f"default_hooks.checkpoint.rule: found {rule!r}, expected 'greater' or 'less'."
            )
        self.interval = interval
        self.save_best = save_best
        self.rule = rule
        self.meta = meta or {}
        self.best_score: float | None = None
        self.best_epoch: int | None = None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Take over which checkpoint was best so far; ``load_from`` begins another training."""
        if not runner._resume:
            return
        meta = checkpoint.get('meta')
        best = meta.get('best') if isinstance(meta, dict) else None
        if best:
            self.best_score, self.best_epoch = best['score'], best['epoch']

    def after_train_epoch(self, runner) -> None:
        """Save here only if this epoch is not validated; else after the validation."""
        finished = runner.epoch + 1
        if not self._validates(runner, finished):
            runner.train_loop._epoch = finished  # the state describes the finished epoch
            try:
                self._save(runner)
            finally:
                runner.train_loop._epoch = finished - 1

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Compare with the best so far, then save."""
        if self.save_best is not None:
            score = _metric(metrics or {}, self.save_best)
            if not math.isfinite(score):
                runner.logger.warning(
                    f'epoch {runner.epoch}: {self.save_best} is {score}; not considered as the best.'
                )
            elif self._better(score):
                self.best_score, self.best_epoch = score, runner.epoch
                if is_main_process():
                    path = self._folder(runner) / f'best_epoch_{runner.epoch}.pth'
                    checkpoints.save(runner.model_state(self._meta()), path)
                runner.logger.info(
                    f'best so far: {self.save_best} {score:.2f} at epoch {runner.epoch}'
                )
        self._save(runner)

    def _save(self, runner) -> None:
        if runner.epoch % self.interval and runner.epoch != runner.max_epochs:
            return
        if is_main_process():
            folder = self._folder(runner)
            newest = folder / f'epoch_{runner.epoch}.pth'
            checkpoints.save(runner.training_state(self._meta()), newest)
            write_text(folder / 'last_checkpoint', str(newest))
            kept = {newest.name, f'best_epoch_{self.best_epoch}.pth'}
            for old in [*folder.glob('epoch_*.pth'), *folder.glob('best_epoch_*.pth')]:
                if old.name not in kept:
                    old.unlink(missing_ok=True)
        barrier()

    def _meta(self) -> dict[str, Any]:
        best = None
        if self.best_epoch is not None:
            best = {'score': self.best_score, 'epoch': self.best_epoch, 'metric': self.save_best}
        return {'arml': self.meta, 'best': best}

    def _better(self, score: float) -> bool:
        if self.best_score is None:
            return True
        return score > self.best_score if self.rule == 'greater' else score < self.best_score

    def _validates(self, runner, epoch: int) -> bool:
        loop = runner.train_loop
        return (
            runner.val_loop is not None
            and epoch >= loop.val_begin
            and (epoch % loop.val_interval == 0 or epoch == loop.max_epochs)
        )

    @staticmethod
    def _folder(runner) -> Path:
        return Path(runner.work_dir)


def _metric(metrics: dict[str, float], name: str) -> float:
    if name not in metrics:
        raise ConfigError(
            f'default_hooks.checkpoint.save_best: the validation reports no {name!r}. '
            f'It reports: {", ".join(sorted(metrics)) or "nothing"}.'
        )
    return float(metrics[name])
