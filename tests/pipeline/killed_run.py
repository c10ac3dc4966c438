"""Run tools/train.py and die by SIGKILL at a named moment: ``killed_run.py MOMENT -- ARGS``."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_training(section: str, iteration: int) -> None:
    """Die at the start of an iteration of the stage whose folder is named so."""
    from arml.engine.hooks.history import HistoryHook

    before = HistoryHook.after_train_iter

    def after_train_iter(self, runner, *args, **kwargs):
        if Path(runner.work_dir).parent.name == section and runner.iter == iteration:
            die()
        return before(self, runner, *args, **kwargs)

    HistoryHook.after_train_iter = after_train_iter


def between_training_and_validation(section: str, epoch: int) -> None:
    """Die when an epoch is trained, before its validation."""
    from arml.engine.hooks.history import HistoryHook

    def before_val(self, runner):
        if Path(runner.work_dir).parent.name == section and runner.epoch == epoch:
            die()

    HistoryHook.before_val = before_val


def before_writing(name: str) -> None:
    """Die where a checkpoint of this name would be written, after the one before it."""
    from arml.engine import checkpoint

    save = checkpoint.save

    def save_or_die(content, path):
        if Path(path).name == name and Path(path).parts[-3] == 'segmentor':
            die()
        return save(content, path)

    checkpoint.save = save_or_die


def in_masks(count: int) -> None:
    """Die after so many masks."""
    from arml.pseudo import generate

    write, done = generate.write_mask, []

    def write_or_die(*args, **kwargs):
        if len(done) == count:
            die()
        done.append(write(*args, **kwargs))

    generate.write_mask = write_or_die


MOMENTS = {
    'in the second epoch of the classifier': lambda: in_training('classifier', 4),
    'between training and validation of the classifier': lambda: between_training_and_validation(
        'classifier', 2
    ),
    'in the pseudo masks': lambda: in_masks(5),
    'between training and validation of the segmentor': lambda: between_training_and_validation(
        'segmentor',
        2,  # the first that is validated
    ),
    'after the best, before the state': lambda: before_writing('epoch_2.pth'),
    'before the product': lambda: before_writing('checkpoint.pth'),
    'never': lambda: None,
}

if __name__ == '__main__':
    from arml.cli import run_tool
    from arml.startup import start
    from tools.train import main

    start()
    MOMENTS[sys.argv[1]]()
    sys.exit(run_tool(lambda: main(sys.argv[3:])))
