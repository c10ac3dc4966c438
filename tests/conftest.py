"""Fixtures that several test files share."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import arml  # noqa: F401  (before timm: cures a clash of CPU torch and CUDA torchvision)

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

COLOURS = np.array(
    [[150, 60, 140], [220, 150, 190], [70, 50, 130], [190, 120, 140], [245, 245, 245]]
)
PALETTE = [255, 0, 0, 0, 255, 0, 0, 0, 255, 153, 0, 255, 255, 255, 255]


def draw_tile(rng: np.random.Generator, classes: list[int], size: int = 32):
    """A tile of vertical bands, one a class, with noise; and its mask."""
    edges = np.linspace(0, size, len(classes) + 1).astype(int)
    mask = np.zeros((size, size), np.uint8)
    for label, left, right in zip(classes, edges[:-1], edges[1:], strict=True):
        mask[:, left:right] = label
    image = COLOURS[mask] + rng.normal(0, 12, (size, size, 3))
    return image.clip(0, 255).astype(np.uint8), mask


def write_fake_tissue(
    root: Path, train: int = 12, val: int = 6, test: int = 6, seed: int = 0
) -> Path:
    """A data folder in the BCSS layout with tiles of 32 pixels, every class sometimes absent."""
    rng = np.random.default_rng(seed)
    combinations = [[0, 1], [1, 2], [2, 3], [3, 0], [0], [1], [2, 1, 4], [3, 1, 0]]
    for split, count in (('train', train), ('val', val), ('test', test)):
        for index in range(count):
            classes = combinations[index % len(combinations)]
            image, mask = draw_tile(rng, classes)
            name = f'FAKE-{split}{index:03d}'
            if split == 'train':
                label = ''.join(str(int(c in classes)) for c in range(4))
                image_file = root / 'train' / f'{name}[{label}].png'
                mask_file = root / 'train_mask' / image_file.name
            else:
                image_file = root / split / 'img' / f'{name}.png'
                mask_file = root / split / 'mask' / f'{name}.png'
            for file in (image_file, mask_file):
                file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(image_file)
            picture = Image.fromarray(mask, mode='P')
            picture.putpalette(PALETTE)
            picture.save(mask_file)
    return root


@pytest.fixture(scope='session', autouse=True)
def _started():
    from arml.startup import start

    start()


@pytest.fixture(scope='module', autouse=True)
def _scope_of_configs(_started):
    """Each file begins in the scope that all configs have, whatever a Runner of another one left."""
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')


@pytest.fixture(scope='session')
def tiny_run(tmp_path_factory):
    """A finished run of all stages on tiny tiles, only to be looked at: ``tiny_run.TinyRun``."""
    from tiny_run import shared_run

    return shared_run(tmp_path_factory)


@pytest.fixture
def fake_tissue(tmp_path: Path) -> Path:
    """A small data folder in the BCSS layout."""
    return write_fake_tissue(tmp_path / 'data')


@pytest.fixture
def pipeline_config() -> Path:
    """A config of all stages that runs in seconds."""
    return ROOT / 'tests' / 'conf' / 'pipeline.py'
