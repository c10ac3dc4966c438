"""The check before a training, and fingerprints of data."""

import shutil

import pytest
from tiny_run import load

from arml.config.load import datasets_in
from arml.datasets.fingerprint import fingerprint
from arml.errors import DataError
from arml.pipeline import data as module
from arml.pipeline.data import check_before_training, data_fingerprint, dense_fingerprint


def check(data, tmp_path, **overrides) -> str:
    said = []
    config = load(data, tmp_path / 'store', **overrides)
    check_before_training(datasets_in(config._cfg_dict), said.append)
    return '\n'.join(said)


@pytest.mark.parametrize('fault', ['missing', 'surplus'])
def test_check__dense_training_masks_matter_to_those_who_read_them(fake_tissue, tmp_path, fault):
    masks = fake_tissue / 'train_mask'
    file = sorted(masks.glob('*.png'))[0]
    if fault == 'missing':
        file.unlink()
    else:
        shutil.copy(file, masks / 'strange.png')
    assert '0 error(s), 1 warning(s)' in check(fake_tissue, tmp_path)
    with pytest.raises(DataError, match=r'1 error\(s\), 0 warning\(s\)'):
        check(fake_tissue, tmp_path, train_dataloader__dataset__masks='dense')


@pytest.mark.parametrize('split', ['val', 'test'])
def test_check__masks_of_other_splits_matter_always(fake_tissue, tmp_path, split):
    sorted((fake_tissue / split / 'mask').glob('*.png'))[0].unlink()
    with pytest.raises(DataError, match=r'(?s)no mask; expected .*1 error\(s\)'):
        check(fake_tissue, tmp_path)


def settings_of(data, tmp_path, **changes):
    return {**load(data, tmp_path / 'store').pseudo_masks.dataloader.dataset, **changes}


def test_data_fingerprint__is_that_of_the_files(fake_tissue, tmp_path):
    settings = settings_of(fake_tissue, tmp_path)
    tiles = sorted((fake_tissue / 'train').glob('*.png'))
    assert data_fingerprint(settings, None) == fingerprint(tiles, fake_tissue)


def test_dense_fingerprint__is_of_what_is_there(fake_tissue, tmp_path):
    settings = settings_of(fake_tissue, tmp_path)
    masks = sorted((fake_tissue / 'train_mask').glob('*.png'))
    whole = dense_fingerprint(settings, None)
    assert whole == fingerprint(masks, fake_tissue)
    masks[0].unlink()
    assert dense_fingerprint(settings, None) == fingerprint(masks[1:], fake_tissue)
    shutil.rmtree(fake_tissue / 'train_mask')
    assert dense_fingerprint(settings, None) is None


def test_data_fingerprint__slow_reading_is_shown_and_not_lost(
    fake_tissue, tmp_path, monkeypatch, capsys
):
    settings, cache = settings_of(fake_tissue, tmp_path), tmp_path / 'cache'
    expected = fingerprint(sorted((fake_tissue / 'train').glob('*.png')), fake_tissue)
    monkeypatch.setattr(module, 'CHUNK', 5)
    clock = iter(range(0, 1000, 7))
    monkeypatch.setattr('arml.progress.time.monotonic', lambda: next(clock))
    assert data_fingerprint(settings, cache) == expected
    said = capsys.readouterr().err
    assert f'reading {fake_tissue}: 5/12' in said
    assert '10/12' in said
    # Killed between: what was read is remembered.
    shutil.rmtree(cache)
    module._known.clear()
    count = []

    def killed(*args):
        count.append(1)
        if len(count) > 2:
            raise KeyboardInterrupt
        return fingerprint(*args)

    monkeypatch.setattr(module, 'fingerprint', killed)
    with pytest.raises(KeyboardInterrupt):
        data_fingerprint(settings, cache)
    (file,) = cache.iterdir()
    assert file.read_text().count('FAKE-train') == 10
