# ruff: noqa: NPY002 - transforms draw from the global state, so its seeding is what is tested
"""Weights and scores of a tile on their way into the data sample."""

import numpy as np
import pytest
import torch
from mmseg.datasets.transforms import RandomFlip, Resize

from arml.datasets.transforms import LoadTileExtra, PackTissueInputs, RandomRotate90
from arml.errors import ConfigError, DataError


def results(shape=(4, 6)) -> dict:
    image = np.arange(np.prod(shape) * 3, dtype=np.uint8).reshape(*shape, 3)
    mask = np.random.default_rng(0).integers(0, 4, shape, dtype=np.uint8)
    return {'img_path': 'x/tile-1.png', 'img': image, 'img_shape': shape, 'ori_shape': shape,
            'gt_seg_map': mask, 'seg_fields': ['gt_seg_map']}  # fmt: skip


def save(folder, values):
    np.save(folder / 'tile-1.npy', values)
    return LoadTileExtra(str(folder), 'weight')


@pytest.mark.parametrize('seed', range(4))
def test_load_tile_extra__moves_with_the_mask(tmp_path, seed):
    given = results()
    weight = given['gt_seg_map'].astype(np.float32) / 4
    given = save(tmp_path, weight)(given)
    assert np.array_equal(given['weight'], weight)
    np.random.seed(seed)
    for step in (Resize((12, 8)), RandomFlip(prob=0.9), RandomRotate90(prob=0.9)):
        given = step(given)
    sample = PackTissueInputs()(given)['data_samples']
    assert sample.weight.data.dtype == torch.float32
    assert sample.weight.data.shape == sample.gt_sem_seg.data.shape
    assert torch.equal(sample.weight.data, sample.gt_sem_seg.data / 4)


def test_load_tile_extra__one_number_a_tile(tmp_path):
    given = save(tmp_path, np.float32(0.25))(results())
    assert given['seg_fields'] == ['gt_seg_map']
    sample = PackTissueInputs()(RandomRotate90(prob=1)(given))['data_samples']
    assert sample.weight.shape == ()
    assert sample.weight == 0.25


def test_load_tile_extra__raises(tmp_path):
    with pytest.raises(ConfigError, match="key: found 'gt_seg_map'"):
        LoadTileExtra('x', 'gt_seg_map')
    with pytest.raises(DataError, match=r'tile-1\.npy: not a readable array'):
        LoadTileExtra(str(tmp_path), 'weight')(results())
    with pytest.raises(DataError, match=r'array of \(6, 4\); expected \(4, 6\)'):
        save(tmp_path, np.zeros((6, 4), np.float32))(results())
    with pytest.raises(DataError, match=r'found float64 \(4, 6\); expected float32'):
        save(tmp_path, np.zeros((4, 6)))(results())
    with pytest.raises(DataError, match='not a readable array'):  # a pickle: never executed
        save(tmp_path, np.array([print], dtype=object))(results())
    with pytest.raises(ConfigError, match="'weight' is in the sample already"):
        save(tmp_path, np.zeros((4, 6), np.float32))({**results(), 'weight': 1})
