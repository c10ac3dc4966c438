"""A run that is stopped in the middle of each of its trainings, as a user would, to be resumed."""

from pathlib import Path

from arml.engine.hooks.history import HistoryHook


class Stopped(Exception):
    """What ends a training in its second iteration."""


def stop_once_in_each_stage(patch) -> list[str]:
    """Raise in the second iteration of every training, the first time it gets there.

    Args:
        patch: pytest's ``monkeypatch``.

    Returns:
        The stages that were stopped so far, in order.
    """
    after, stopped = HistoryHook.after_train_iter, []

    def after_train_iter(self, runner, *args, **kwargs):
        stage = Path(runner.work_dir).parent.name
        if runner.iter == 1 and stage not in stopped:
            stopped.append(stage)
            raise Stopped(stage)
        return after(self, runner, *args, **kwargs)

    patch.setattr(HistoryHook, 'after_train_iter', after_train_iter)
    return stopped
