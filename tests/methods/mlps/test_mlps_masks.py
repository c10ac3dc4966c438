# ruff: noqa: NPY002 - transforms draw from the global state, so its seeding is what is tested
"""Further masks on their way into the data sample."""

import numpy as np
import pytest
import torch
from mmseg.datasets.transforms import RandomFlip, Resize

from arml.datasets.transforms import LoadTissueMask, PackTissueInputs, RandomRotate90
from arml.errors import ConfigError, DataError
from arml.methods.mlps import LoadFurtherMasks
from arml.pseudo.io import write_mask

PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (153, 0, 255), (255, 255, 255)]


def results(folder, shape=(4, 6), **more) -> dict:
    mask = np.random.default_rng(0).integers(0, 4, shape, dtype=np.uint8)
    mask[0, 0] = 4
    for name, values in (('first', mask), ('middle', (mask + 1) % 5), ('shallow', (mask + 2) % 5)):
        write_mask(folder / name / 'tile-1.png', values, PALETTE)
    image = np.arange(np.prod(shape) * 3, dtype=np.uint8).reshape(*shape, 3)
    return {'img_path': 'x/tile-1.png', 'img': image, 'img_shape': shape, 'ori_shape': shape,
            'seg_map_path': str(folder / 'first' / 'tile-1.png'), 'num_classes': 4, 'pseudo': True,
            'background_index': 4, 'seg_fields': [], **more}  # fmt: skip


def load(folder, **settings):
    folders = {name: str(folder / name) for name in ('middle', 'shallow')}
    return LoadFurtherMasks(**{'folders': folders, 'background': 'keep', **settings})


@pytest.mark.parametrize('seed', range(6))
def test_masks__move_together(tmp_path, seed):
    given = LoadTissueMask('keep')(results(tmp_path))
    given = load(tmp_path)(given)
    assert given['seg_fields'] == ['gt_seg_map', 'middle', 'shallow']
    np.random.seed(seed)
    for step in (Resize((12, 8)), RandomFlip(prob=0.9, direction='horizontal'),
                 RandomFlip(prob=0.9, direction='vertical'), RandomRotate90(prob=0.9)):  # fmt: skip
        given = step(given)
    sample = PackTissueInputs()(given)['data_samples']
    first = sample.gt_sem_seg.data
    assert first.shape in ((1, 8, 12), (1, 12, 8))
    assert torch.equal(sample.middle.data.long(), (first + 1) % 5)
    assert torch.equal(sample.shallow.data.long(), (first + 2) % 5)


@pytest.mark.parametrize(
    ('background', 'index', 'expected'), [('keep', 4, 4), ('ignore', 4, 255), ('keep', None, 255)]
)
def test_masks__background_is_that_of_the_first_mask(tmp_path, background, index, expected):
    given = results(tmp_path, background_index=index)
    given = LoadTissueMask(background)(given)
    given = load(tmp_path, background=background)(given)
    assert given['gt_seg_map'][0, 0] == expected
    where = given['middle'] > 3
    assert where.any()
    assert set(given['middle'][where]) == {expected}


def test_masks__raise(tmp_path):
    with pytest.raises(ConfigError, match="folders: found 'gt_seg_map'"):
        LoadFurtherMasks(folders={'gt_seg_map': 'x'})
    with pytest.raises(ConfigError, match="folders: found 'a.b'"):
        LoadFurtherMasks(folders={'a.b': 'x'})
    with pytest.raises(ConfigError, match="background='drop'"):
        LoadFurtherMasks(folders={}, background='drop')
    with pytest.raises(ConfigError, match=r'folders\.middle: found None.*binds it'):
        LoadFurtherMasks(folders={'middle': None})(results(tmp_path))
    with pytest.raises(ConfigError, match="'middle' is in the sample already"):
        load(tmp_path)(results(tmp_path, middle=1))
    with pytest.raises(DataError, match=r'missing/tile-1\.png: not a readable mask'):
        load(tmp_path, folders={'middle': str(tmp_path / 'missing')})(results(tmp_path))
    with pytest.raises(DataError, match='the mask is 6x4; expected 6x5'):
        load(tmp_path)(results(tmp_path, ori_shape=(5, 6)))
    given = results(tmp_path)
    write_mask(tmp_path / 'middle' / 'tile-1.png', np.full((4, 6), 5, np.uint8), PALETTE * 2)
    with pytest.raises(DataError, match='mask value 5'):
        load(tmp_path)(given)
