"""One finished run of all stages on tiny tiles, shared by the tests that only look at it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import ROOT, write_fake_tissue
from filelock import FileLock
from mmengine.config import Config

CONFIG = ROOT / 'tests' / 'conf' / 'pipeline.py'
#: The same with as little training as possible.
QUICK = {'train_cfg.max_epochs': 1, 'classifier.train_cfg.max_epochs': 1}

_made: list = []


@dataclass(frozen=True)
class TinyRun:
    """A finished run. Tests read it; whoever changes something copies it first."""

    data: Path
    store: Path
    work: Path
    result: dict[str, Any]

    def load(self, **overrides: Any) -> Config:
        """Load its config with further overrides, dots written as double underscores."""
        return load(self.data, self.store, **overrides)

    def checkpoint(self, stage: str = 'segmentor') -> Path:
        return self.work / stage / 'checkpoint.pth'


def load(data: Path, store: Path, **overrides: Any) -> Config:
    from arml.config import load_config

    given = {'data_root': str(data), 'store': str(store)}
    given.update({key.replace('__', '.'): value for key, value in overrides.items()})
    return load_config(CONFIG, given)


def shared_run(tmp_path_factory) -> TinyRun:
    """Make the run, or reuse that of another pytest process: the store is shared under locks."""
    from arml.pipeline import run_pipeline

    if _made:
        return _made[0]
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get('PYTEST_XDIST_WORKER') else base) / 'tiny_run'
    shared.mkdir(exist_ok=True)
    data, store = shared / 'data', shared / 'store'
    with FileLock(shared / 'data.lock'):
        if not data.is_dir():
            write_fake_tissue(shared / 'drawn')
            (shared / 'drawn').rename(data)
    work = base / 'tiny_work'
    _made.append(TinyRun(data, store, work, run_pipeline(load(data, store), work)))
    return _made[0]
