"""A few tiles of a split, kept beside a product for the picture at the end."""

import shutil
from pathlib import Path

import numpy as np

from arml.atomic import replacing


def evenly(length: int, count: int) -> list[int]:
    """At most ``count`` indices spread evenly over ``length``, each once."""
    chosen = np.linspace(0, length - 1, min(count, length)).round().astype(int)
    return chosen.tolist()


def copy_example(source: Path, target: Path) -> None:
    """Copy a picture atomically."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
