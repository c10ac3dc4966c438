"""What a run was made with: versions, commit, machine."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

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


def commit() -> str:
    """The commit of the source tree the package runs from, ``-dirty`` if changed; or ``unknown``."""
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


def describe() -> dict[str, Any]:
    """Versions, commit and the parts of the machine that change bits."""
    return {
        'versions': versions(),
        'commit': commit(),
        'machine': platform.platform(),
        'cpus': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'gpu': torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }
