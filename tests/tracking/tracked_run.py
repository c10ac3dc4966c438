"""Tiny trainings with tracking, for the tests of what trackers are given."""

import contextlib
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import wandb
from tiny_run import CONFIG, TinyRun

from arml.cli import run_tool
from arml.engine.hooks.history import HistoryHook
from tools import train

#: Nothing of the person's own account, nothing on a network, nothing captured from pytest's output.
OFFLINE = {'WANDB_MODE': 'offline', 'WANDB_SILENT': 'true', 'WANDB_CONSOLE': 'off'}
#: Two epochs of the segmentor, which the shared run, with three, has not made.
SHORT = {'train_cfg.max_epochs': 2}
ITERATIONS = 3  # of an epoch


class Crash(Exception):
    """What :func:`crash` dies of."""


def crash():
    """An end in the middle, for :func:`at_iteration`."""
    raise Crash


def run(
    shared: TinyRun,
    folder: Path,
    tracking: str | None = 'wandb',
    resume: bool = False,
    **options: Any,
) -> int:
    """A run of the tiny config in this process; its exit status.

    Args:
        shared: Its classifier and masks are found in the store, which is copied at the first time.
        folder: Holds ``work`` and ``store``.
        tracking: Who follows; None leaves it to the run.
        resume: As ``--resume``.
        **options: Further overrides, dots written as double underscores.
    """
    if not (folder / 'store').exists():
        shutil.copytree(shared.store, folder / 'store')
    given = {'data_root': shared.data, 'store': folder / 'store', 'tracking': tracking}
    given['log_processor.window_size'] = (
        ITERATIONS  # the logger's values are then means of an epoch
    )
    given = {key: value for key, value in given.items() if value is not None}
    given.update({key.replace('__', '.'): value for key, value in options.items()})
    call = [str(CONFIG), '--work-dir', str(folder / 'work'), *['--resume'][: int(resume)]]
    call += ['--cfg-options', *(f'{key}={value}' for key, value in given.items())]
    return run_tool(lambda: train.main(call))


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / 'work' / 'result.json').read_text())


def history_of(folder: Path, stage: str) -> list[dict[str, Any]]:
    lines = (folder / 'work' / stage / 'history.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


def terminate():
    """SIGTERM, as a scheduler sends it, for :func:`at_iteration`."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)


@contextlib.contextmanager
def environment(**variables: str):
    """W&B's variables for a while, without those of the person's own; W&B reads them once a process."""
    wandb.teardown()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith('WANDB_')]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, str(value))
        yield patch
        wandb.teardown()


def same(found, expected) -> bool:
    """Whether two curves, (iteration, value) each, agree."""
    assert len(found) == len(expected) > 0
    for point, other in zip(found, expected, strict=True):
        assert point == pytest.approx(other, rel=1e-4)
    return True


@contextlib.contextmanager
def at_iteration(number: int, act):
    """Call ``act`` in the training of a segmentor, before the end of an iteration counted from 0."""
    before = HistoryHook.after_train_iter

    def after_train_iter(self, runner, *args, **kwargs):
        if Path(runner.work_dir).parent.name == 'segmentor' and runner.iter == number:
            act()
        return before(self, runner, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HistoryHook, 'after_train_iter', after_train_iter)
        yield
