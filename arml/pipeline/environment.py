"""What a run was made with: versions, commit, machine."""

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from arml.datasets.fingerprint import file_sha256
from arml.engine import checkpoint as checkpoints
from arml.engine.card_check import card_in
from arml.pipeline.data import data_fingerprint
from arml.pipeline.testing import runner_settings

PACKAGES = (
    'arml', 'torch', 'torchvision', 'timm', 'numpy', 'scipy', 'opencv-python', 'pillow',
    'onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation',
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of python and of the packages that results depend on."""
    found = {'python': platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = 'not installed'
    return found


@functools.cache
def commit() -> str:
    """The commit of the source tree the package runs from, ``-dirty`` if changed; or ``unknown``.

    Looked up once: a commit that is made while the process runs is not what it runs.
    """
    folder = Path(__file__).resolve().parent
    try:
        head = subprocess.run(
            ['git', '-C', str(folder), 'rev-parse', 'HEAD'],
            capture_output=True,
            text=True,
            timeout=20,
        )
        if head.returncode:
            return 'unknown'
        changed = subprocess.run(
            ['git', '-C', str(folder), 'status', '--porcelain', '--untracked-files=no'],
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return 'unknown'
    return head.stdout.strip() + ('-dirty' if changed.stdout.strip() else '')


@functools.cache
def processor() -> str:
    """The processor and the instructions torch uses on it: ``AMD EPYC family 25 model 17, AVX512``.

    Another processor adds floats up in another order, so a training of the same seed ends elsewhere.
    Virtual machines may hide the name; family and model tell them apart still.
    """
    file = Path('/proc/cpuinfo')
    lines = file.read_text().split('\n\n')[0].splitlines() if file.is_file() else []
    said = {key.strip(): value.strip() for key, _, value in (x.partition(':') for x in lines)}
    name = said.get('model name') or platform.processor() or platform.machine()
    words = {'cpu family': 'family', 'model': 'model'}
    numbers = [f'{word} {said[key]}' for key, word in words.items() if key in said]
    return f'{" ".join([name, *numbers])}, {torch.backends.cpu.get_cpu_capability()}'


def describe() -> dict[str, Any]:
    """Versions, commit, the parts of the machine that change bits, and the time (ISO 8601)."""
    return {
        'versions': versions(),
        'commit': commit(),
        'machine': platform.platform(),
        'processor': processor(),
        'cpus': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'gpu': torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        'time': time.strftime('%Y-%m-%dT%H:%M:%S%z'),
    }


def config_file(path: str | None) -> str | None:
    """A config's file as people name it: from the folder that holds ``configs``, where it lies in one."""
    if path is None:
        return None
    folders = [folder for folder in Path(path).absolute().parents if folder.name == 'configs']
    return Path(path).absolute().relative_to(folders[0].parent).as_posix() if folders else str(path)


def describe_test(config: Config, checkpoint: Path) -> dict[str, Any]:
    """What a test of a checkpoint is of: the parameters and their seed, the data, and :func:`describe`.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
        ConfigError: If the config has no test of its section.
    """
    card = card_in(checkpoints.load(checkpoint))
    settings = runner_settings(config, card.get('section'))
    cache = Path(config.store).absolute() / 'fingerprints'  # of runs; none is begun for a test
    fingerprint = data_fingerprint(
        settings['test_dataloader']['dataset'], cache if cache.is_dir() else None
    )
    return {
        'seed': card.get('seed'),
        **describe(),
        'command': ' '.join(sys.argv),
        'checkpoint': str(checkpoint),
        'checkpoint_sha256': file_sha256(checkpoint),
        'data': {'test': {'test_dataloader': fingerprint}},
    }
