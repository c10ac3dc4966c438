"""Keys of products: changed by what determines the product, and by nothing else."""

import os
import shutil
import time

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import load

from arml.errors import CheckpointError
from arml.pipeline.keys import canonical, digest
from arml.pipeline.run import build_stages, make_plan
from arml.pipeline.store import Store

ALL = {'classifier', 'pseudo_masks', 'segmentor', 'mask_scores', 'floors', 'cam_test', 'test'}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    from conftest import write_fake_tissue

    return write_fake_tissue(tmp_path_factory.mktemp('keys') / 'data')


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    return tmp_path_factory.mktemp('store')


def keys_of(data, store, **overrides) -> dict[str, str]:
    config = load(data, store, **overrides)
    return {
        item.stage.name: item.key for item in make_plan(build_stages(config), Store(config.store))
    }


@pytest.fixture(scope='module')
def usual(data, store):
    return keys_of(data, store)


def changed(before: dict, after: dict) -> set[str]:
    assert before.keys() == after.keys() == ALL
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    'overrides',
    [
        {'work_dir': 'somewhere'},
        {'train_dataloader__num_workers': 3, 'classifier__train_dataloader__num_workers': 2,
         'test_dataloader__num_workers': 1, 'pseudo_masks__dataloader__num_workers': 1},
        {'train_dataloader__persistent_workers': True, 'val_dataloader__pin_memory': True},
        {'log_level': 'ERROR', 'default_hooks__logger__interval': 1,
         'log_processor__window_size': 3},
        {'vis_backends': [], 'visualizer__name': 'other'},
        {'pseudo_masks__dataloader__batch_size': 1},
        {'env_cfg__mp_cfg__opencv_num_threads': 1},
        {'default_hooks__checkpoint__interval': 2},
        {'val_dataloader__batch_size': 1, 'test_dataloader__batch_size': 3,
         'classifier__val_dataloader__batch_size': 2},
        {'default_hooks__timer': None},
        {'title': 'Another name'},
    ],
    ids=lambda overrides: next(iter(overrides)),
)  # fmt: skip
def test_keys__indifferent_settings(data, store, usual, overrides):
    assert changed(usual, keys_of(data, store, **overrides)) == set()


def test_keys__place_of_data_and_store(data, tmp_path, usual):
    moved = shutil.copytree(data, tmp_path / 'moved' / 'tiles')
    assert changed(usual, keys_of(moved, tmp_path / 'store')) == set()


def test_keys__relative_data_root(data, store, usual, monkeypatch):
    monkeypatch.chdir(data.parent)
    assert changed(usual, keys_of(data.name, store)) == set()


@pytest.mark.parametrize(
    ('overrides', 'expected'),
    [
        ({'model__swv__omega': 3}, {'segmentor', 'test'}),
        ({'model__srm__beta': 1.0}, {'segmentor', 'test'}),
        ({'model__lambda_': 0.3}, {'segmentor', 'test'}),
        ({'train_cfg__max_epochs': 4}, {'segmentor', 'test'}),
        ({'train_dataloader__batch_size': 2}, {'segmentor', 'test'}),
        ({'default_hooks__checkpoint__save_best': 'mDice'}, {'segmentor', 'test'}),
        ({'optim_wrapper__optimizer__lr': 2e-3}, {'segmentor', 'test'}),
        ({'pseudo_masks__rule__white_area': {'threshold': 200, 'min_size': 50}},
         {'pseudo_masks', 'segmentor', 'mask_scores', 'test'}),
        ({'pseudo_masks__maps__scales': (1.0, 0.5)}, {'pseudo_masks', 'segmentor', 'mask_scores', 'test'}),
        ({'classifier__model__neck__enabled': False},
         {'classifier', 'pseudo_masks', 'segmentor', 'mask_scores', 'cam_test', 'test'}),
        ({'classifier__train_cfg__max_epochs': 4},
         {'classifier', 'pseudo_masks', 'segmentor', 'mask_scores', 'cam_test', 'test'}),
        ({'test_evaluator__protocols': ('A',)}, {'test'}),
        ({'randomness__seed': 1}, ALL - {'floors'}),
        ({'default_hooks__param_scheduler': None}, ALL - {'floors'}),
        ({'default_hooks__checkpoint__rule': 'less'}, ALL - {'floors'}),
        ({'input_size': (16, 16)}, {'segmentor', 'test'}),
        ({'classifier__tile_size': (64, 64)}, ALL - {'floors'}),
        ({'train_dataloader__dataset__indices': 8}, {'segmentor', 'test'}),
        ({'test_dataloader__dataset__indices': 4}, {'floors', 'test'}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)  # fmt: skip
def test_keys__settings_that_matter(data, store, usual, overrides, expected):
    assert changed(usual, keys_of(data, store, **overrides)) == expected


@pytest.mark.parametrize(
    ('split', 'expected'),
    [
        ('train', ALL - {'cam_test', 'test'}),
        ('val/img', {'classifier', 'segmentor', 'floors'}),
        ('val/mask', {'classifier', 'segmentor', 'floors'}),
        ('test/img', {'floors', 'cam_test', 'test'}),
        ('test/mask', {'floors', 'cam_test', 'test'}),
        ('train_mask', {'mask_scores'}),  # no weak training knows of them
    ],
)
def test_keys__one_changed_pixel(data, tmp_path, usual, split, expected):
    copy = shutil.copytree(data, tmp_path / 'data')
    file = sorted((copy / split).glob('*.png'))[0]
    with Image.open(file) as image:
        pixels = np.array(image)
        palette = image.getpalette()
    pixels[0, 0] = (pixels[0, 0] + 1) % 4
    changed_image = Image.fromarray(pixels)
    if palette:
        changed_image.putpalette(palette)
    changed_image.save(file)
    found = changed(usual, keys_of(copy, tmp_path / 'store'))
    # What a stage takes from another changes with that other.
    if 'classifier' in expected:
        expected = expected | (ALL - {'floors'})
    assert found == expected


def test_keys__a_change_after_the_fingerprint_was_remembered(data, tmp_path):
    copy, store = shutil.copytree(data, tmp_path / 'data'), tmp_path / 'store'
    before = keys_of(copy, store)
    file = sorted((copy / 'train').glob('*.png'))[0]
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    time.sleep(0.05)  # the clock of the file system
    file.write_bytes(content)
    assert 'classifier' in changed(before, keys_of(copy, store))
    content[-20] ^= 1
    time.sleep(0.05)
    file.write_bytes(content)
    assert changed(before, keys_of(copy, store)) == set()


def test_keys__dense_masks_of_training_tiles_are_in_no_key_but_that_of_the_scores(
    data, tmp_path, usual
):
    copy = shutil.copytree(data, tmp_path / 'data')
    sorted((copy / 'train_mask').glob('*.png'))[0].unlink()
    assert changed(usual, keys_of(copy, tmp_path / 'store')) == {'mask_scores'}
    shutil.rmtree(copy / 'train_mask')
    assert changed(usual, keys_of(copy, tmp_path / 'store')) == {'mask_scores'}


def test_keys__a_process_reads_unchanged_data_once(data, tmp_path, monkeypatch):
    copy = shutil.copytree(data, tmp_path / 'data')
    before = keys_of(copy, tmp_path / 'a')
    with monkeypatch.context() as patch:
        patch.setattr('arml.pipeline.data.fingerprint', lambda *_: pytest.fail('hashed again'))
        assert keys_of(copy, tmp_path / 'b') == before  # another store: nothing remembered there
    file = sorted((copy / 'train').glob('*.png'))[0]
    stat = file.stat()
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # of the same size and date
    assert 'classifier' in changed(before, keys_of(copy, tmp_path / 'c'))


def test_keys__a_removed_or_renamed_tile(data, tmp_path, usual):
    copy = shutil.copytree(data, tmp_path / 'data')
    shutil.rmtree(copy / 'train_mask')
    file = sorted((copy / 'train').glob('*.png'))[0]
    file.rename(file.with_name(file.name.replace('FAKE', 'REAL')))
    assert 'classifier' in changed(usual, keys_of(copy, tmp_path / 'a'))
    file.with_name(file.name.replace('FAKE', 'REAL')).unlink()
    assert 'classifier' in changed(usual, keys_of(copy, tmp_path / 'b'))


@pytest.mark.parametrize(
    ('overrides', 'first'),
    [
        (lambda file: {'load_from': file}, 'segmentor'),
        (lambda file: {'model__network__backbone__checkpoint': file}, 'segmentor'),
        (lambda file: {'model__init_cfg': {'type': 'Pretrained', 'checkpoint': file}}, 'segmentor'),
        (lambda file: {'classifier__load_from': file}, 'classifier'),
    ],
    ids=['load_from', 'checkpoint', 'init_cfg', 'classifier'],
)
def test_keys__weight_files_count_by_content(data, store, tmp_path, overrides, first):
    one, same, other = tmp_path / 'one.pth', tmp_path / 'same.pth', tmp_path / 'other.pth'
    torch.save({'w': torch.zeros(2)}, one)
    shutil.copy(one, same)
    torch.save({'w': torch.ones(2)}, other)
    keys = [keys_of(data, store, **overrides(str(file))) for file in (one, same, other)]
    assert changed(keys[0], keys[1]) == set()
    assert first in changed(keys[0], keys[2])
    shutil.copy(other, one)
    assert changed(keys_of(data, store, **overrides(str(one))), keys[2]) == set()


def test_keys__a_weight_file_that_is_gone_makes_no_other_key(data, store):
    with pytest.raises(
        CheckpointError, match=r'weights a\.pth: no such file.*found by its content'
    ):
        keys_of(data, store, load_from='a.pth')


def test_keys__a_url_counts_by_name(data, store):
    urls = ['https://a/x.pth', 'https://a/y.pth']
    keys = [keys_of(data, store, load_from=url) for url in urls]
    assert changed(*keys) == {'segmentor', 'test'}


def test_keys__weight_file_in_the_home_folder(data, store, tmp_path, monkeypatch):
    torch.save({'w': torch.zeros(2)}, tmp_path / 'w.pth')
    monkeypatch.setenv('HOME', str(tmp_path))
    keys = [keys_of(data, store, load_from=name) for name in (f'{tmp_path}/w.pth', '~/w.pth')]
    assert changed(*keys) == set()


def test_keys__weights_a_test_replaces_are_not_in_its_key(data, tmp_path):
    def settings(**overrides):
        config = load(data, tmp_path, **overrides)
        return {stage.name: stage for stage in build_stages(config)}['test'].settings()

    given = {'model__network__backbone__pretrained': True,
             'model__network__backbone__checkpoint': 'gone.pth'}  # fmt: skip
    other = settings(model__network__backbone__checkpoint=None)
    assert digest(settings(**given)) == digest(other)


def masks_of_mine(data, folder):
    """A folder of masks that no stage made, bound to nothing."""
    folder.mkdir(parents=True)
    for file in (data / 'train_mask').glob('*.png'):
        shutil.copy(file, folder / file.name)
    return folder


def key_with_masks(data, store, folder) -> str:
    config = load(data, store, train_dataloader__dataset__masks=str(folder))
    config.pipeline = [dict(name='segmentor', type='arml.TrainStage')]
    return make_plan(build_stages(config), Store(config.store))[0].key


def test_keys__masks_of_a_folder_count_by_content_not_by_place(data, store, tmp_path):
    one = masks_of_mine(data, tmp_path / 'one')
    key = key_with_masks(data, store, one)
    moved = shutil.copytree(one, tmp_path / 'moved')
    assert key_with_masks(data, store, moved) == key
    (moved / 'notes.png').write_bytes(b'no mask of a tile')
    assert key_with_masks(data, store, moved) == key
    file = sorted(moved.glob('*.png'))[0]
    time.sleep(0.05)  # the clock of the file system
    file.write_bytes(file.read_bytes() + b'x')
    assert key_with_masks(data, store, moved) != key
    assert key_with_masks(data, store, 'dense') != key


def test_keys__two_spellings_agree():
    one = {'b': (1, 2.0, [3]), 'a': {'x': True, 'y': None, 'z': 1e-3}, 'num_workers': 4}
    two = {'a': {'z': 0.001, 'y': None, 'x': True}, 'b': [1.0, 2, (3,)], 'num_workers': 0}
    assert digest(one) == digest(two)


@pytest.mark.parametrize(
    ('one', 'two'),
    [
        ({'a': 1}, {'a': True}),
        ({'a': 0}, {'a': None}),
        ({'a': 1}, {'a': '1'}),
        ({'a': [1, 2]}, {'a': [2, 1]}),
        ({'a': 1}, {'b': 1}),
        ({'a': {'b': 1}}, {'a.b': 1}),
        ({'a': float('inf')}, {'a': float('nan')}),
        ({'a': 0.1}, {'a': 0.1 + 1e-15}),
        ({'a': [[1], 2]}, {'a': [1, 2]}),
    ],
)
def test_keys__different_values_differ(one, two):
    assert digest(one) != digest(two)


def test_keys__are_the_same_in_another_process():
    # Written down: a key that depended on hashing or on the order of a set would change.
    assert digest({'a': [1, 2.5, None], 'b': 'ä', 'c': {1: True}}) == '2c7f73f6a8611168'
    assert canonical({'num_workers': 2, 'k': {1: (2.0,)}}) == {'k': {'1': [2]}}
    assert canonical({'order': {3, 1, 2}}) == {'order': [1, 2, 3]}
