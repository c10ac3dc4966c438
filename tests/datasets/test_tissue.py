# ruff: noqa: NPY002 - transforms draw from the global state, so its seeding is what is tested
import random

import numpy as np
import pytest
import torch
from fake_tissue import make_fake, quarters, write_mask
from torch.utils.data import DataLoader

from arml.datasets import (
    BCSSDataset,
    EBHIDataset,
    LUADHistoSegDataset,
    SyntheticTissueDataset,
)
from arml.errors import ConfigError, DataError
from arml.registry import DATASETS

LOAD = {'type': 'arml.LoadTile'}
NOISE = [
    LOAD,
    {'type': 'arml.RandomRotate90', 'prob': 0.5},
    {'type': 'arml.RandomStainJitter', 'prob': 1.0, 'strength': 0.5},
]


@pytest.fixture
def root(tmp_path):
    return str(make_fake(tmp_path))


@pytest.mark.parametrize(
    ('dataset', 'classes', 'first', 'background', 'white'),
    [
        (BCSSDataset, ('TUM', 'STR', 'LYM', 'NEC'), [255, 0, 0], 4, False),
        (SyntheticTissueDataset, ('TUM', 'STR', 'LYM', 'NEC'), [255, 0, 0], 4, False),
        (LUADHistoSegDataset, ('TE', 'NEC', 'LYM', 'TAS'), [205, 51, 51], 4, True),
        (EBHIDataset, ('ADC', 'STR', 'BEN', 'IEN'), [205, 51, 51], None, False),
    ],
)
def test_metainfo__as_published(dataset, classes, first, background, white):
    info = dataset('nowhere', 'train', lazy_init=True).metainfo
    assert info['classes'] == classes
    assert info['palette'][0] == first
    assert len(info['palette']) == 4
    assert info['background_index'] == background
    assert info['background_color'] == [255, 255, 255]
    assert info['white_area'] is white
    assert info['mpp'] is None or info['mpp'] > 0
    assert info['mpp_note']
    assert info['dataset_name']


def test_synthetic__pixel_size_is_that_of_the_drawing():
    from arml.datasets.synthesis.tile import MICRONS_PER_PIXEL

    assert SyntheticTissueDataset.METAINFO['mpp'] == MICRONS_PER_PIXEL


def test_train__label_from_the_name_and_no_mask(root):
    dataset = DATASETS.build({'type': 'arml.BCSSDataset', 'data_root': root, 'split': 'train'})
    info = dataset.get_data_info(0)
    assert len(dataset) == 4
    assert info['image_label'] == (1, 1, 0, 1)
    assert 'seg_map_path' not in info
    assert info['seg_fields'] == []
    assert info['label_map'] is None
    assert info['reduce_zero_label'] is False
    assert info['background_index'] == 4


def test_val__masks_only_if_asked_for(root):
    assert 'seg_map_path' not in BCSSDataset(root, 'val').get_data_info(0)
    info = BCSSDataset(root, 'val', masks='dense').get_data_info(1)
    assert info['seg_map_path'].replace('/mask/', '/img/') == info['img_path']
    assert 'image_label' not in info


def test_masks__pseudo_folder(root, tmp_path):
    pseudo = tmp_path / 'pseudo'
    for info in BCSSDataset(root, 'train'):
        write_mask(pseudo / info['img_path'].split('/')[-1], 0)
    dataset = BCSSDataset(root, 'train', masks=pseudo)
    info = dataset.get_data_info(2)
    assert info['seg_map_path'].startswith(str(pseudo))
    assert info['pseudo'] is True
    assert all('pseudo' not in path.parts for path in dataset.files())


def test_masks__pseudo_missing_one(root, tmp_path):
    names = [info['img_path'].split('/')[-1] for info in BCSSDataset(root, 'train')]
    for name in names[1:]:
        write_mask(tmp_path / 'pseudo' / name, 0)
    with pytest.raises(DataError, match=r'1 of 4 masks .* missing \(TCGA-A1-A000'):
        BCSSDataset(root, 'train', masks=str(tmp_path / 'pseudo'))


def test_masks__pseudo_no_folder(root):
    with pytest.raises(DataError, match=r'no such folder; expected pseudo masks'):
        BCSSDataset(root, 'train', masks='nowhere/pseudo')


def test_masks__dense_train_is_not_published(root):
    with pytest.raises(DataError, match='None are published for BCSS-WSSS'):
        BCSSDataset(root, 'train', masks='dense')


def test_masks__dense_train(root, tmp_path):
    for info in BCSSDataset(root, 'train'):
        write_mask(tmp_path / 'train_mask' / info['img_path'].split('/')[-1], quarters())
    dataset = BCSSDataset(root, 'train', masks='dense')
    assert len(dataset.files()) == 8
    assert dataset.get_data_info(0)['image_label'] == (1, 1, 0, 1)


def test_masks__no_mask_folder_in_val(root, tmp_path):
    (tmp_path / 'val' / 'mask').rename(tmp_path / 'val' / 'other')
    with pytest.raises(DataError, match='no mask/ folder in the val split'):
        BCSSDataset(root, 'val', masks='dense')


def test_masks__of_another_type(root):
    with pytest.raises(ConfigError, match="expected None, 'dense' or the path"):
        BCSSDataset(root, 'train', masks=True)


def test_files__images_and_dense_masks(root):
    assert len(BCSSDataset(root, 'train').files()) == 4
    files = BCSSDataset(root, 'test', masks='dense').files()
    assert len(files) == 6
    assert all(path.is_file() for path in files)


def test_dataset__empty_split(root, tmp_path):
    for path in (tmp_path / 'train').iterdir():
        path.unlink()
    with pytest.raises(DataError, match='the train split is empty'):
        BCSSDataset(root, 'train')


def test_dataset__no_root_names_the_converter():
    with pytest.raises(DataError, match=r'(?s)expected this layout.*dataset_converters/luad\.py'):
        LUADHistoSegDataset('nowhere/luad', 'train')


def test_dataset__bad_label_names_the_file(root, tmp_path):
    next((tmp_path / 'train').iterdir()).rename(tmp_path / 'train' / 'x[11].png')
    with pytest.raises(DataError, match=r'x\[11\]\.png: .*2 digits'):
        BCSSDataset(root, 'train')


@pytest.mark.parametrize(('indices', 'count'), [(2, 2), ([0, 3], 2), (None, 4)])
def test_dataset__indices(root, indices, count):
    assert len(BCSSDataset(root, 'train', indices=indices)) == count


def _samples(dataset):
    return [dataset[index]['img'] for index in range(len(dataset))]


def _same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_randomness__function_of_seed_epoch_and_index(root):
    dataset = BCSSDataset(root, 'train', pipeline=NOISE, seed=3)
    first = _samples(dataset)
    random.random(), np.random.rand(), torch.rand(1)
    assert _same(first, reversed([dataset[i]['img'] for i in reversed(range(4))]))
    dataset.set_epoch(1)
    assert not _same(first, _samples(dataset))
    dataset.set_epoch(0)
    assert _same(first, _samples(dataset))
    assert not _same(first, _samples(BCSSDataset(root, 'train', pipeline=NOISE, seed=4)))


def test_randomness__differs_between_tiles(root):
    draw = [{'type': 'arml.LoadTile'}, lambda results: {'draw': np.random.rand()}]
    dataset = BCSSDataset(root, 'train', pipeline=draw)
    assert len({dataset[index]['draw'] for index in range(4)}) == 4


@pytest.mark.parametrize('source', [random.random, np.random.rand, lambda: torch.rand(1).item()])
def test_randomness__every_generator_seeded_and_restored(root, source):
    dataset = BCSSDataset(root, 'train', pipeline=[lambda results: {'draw': source()}])
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = source(), source()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    before = source()
    drawn = dataset[0]['draw']
    assert (before, source()) == expected
    assert dataset[0]['draw'] == drawn


def test_randomness__restored_after_an_error(root):
    def fail(results):
        raise DataError('broken tile')

    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    with pytest.raises(DataError, match='broken tile'):
        BCSSDataset(root, 'train', pipeline=[fail])[0]
    assert np.random.rand() == expected


@pytest.mark.parametrize('persistent', [False, True])
def test_randomness__independent_of_workers(root, persistent):
    dataset = BCSSDataset(root, 'train', pipeline=[*NOISE, lambda r: {'img': r['img'].copy()}])
    loader = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=persistent)
    for epoch in (0, 1, 5):
        dataset.set_epoch(epoch)
        loaded = [np.asarray(sample['img']) for sample in loader]
        assert _same(loaded, _samples(dataset))
    assert dataset.epoch == 5
