import importlib.util
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arml.datasets.synthesis import PALETTE, format_table, write_dataset
from arml.datasets.synthesis import writer as module
from arml.errors import DataError

SMALL = {'train': 7, 'val': 2, 'test': 6, 'size': 64}


def _write(out, **changes):
    lines = []
    manifest = write_dataset(out, **{**SMALL, 'say': lines.append, **changes})
    return manifest, lines


def _nothing(_):
    pass


def _content(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp('synthetic') / 'set'
    return out, _write(out)[0]


def test_write_dataset__layout_labels_and_masks(written):
    out, manifest = written
    assert sorted(path.name for path in out.iterdir()) == [
        'manifest.json', 'test', 'train', 'train_mask', 'val',
    ]  # fmt: skip
    pairs = {
        'train': (out / 'train', out / 'train_mask'),
        'val': (out / 'val/img', out / 'val/mask'),
        'test': (out / 'test/img', out / 'test/mask'),
    }
    for split, (images, masks) in pairs.items():
        names = sorted(path.name for path in images.iterdir())
        assert names == sorted(path.name for path in masks.iterdir())
        assert len(names) == SMALL[split] == manifest['splits'][split]['tiles']
        for name in names:
            with Image.open(images / name) as image, Image.open(masks / name) as mask:
                assert image.mode == 'RGB'
                assert mask.mode == 'P'
                assert image.size == mask.size == (64, 64)
                assert tuple(mask.getpalette()[:15]) == sum(PALETTE, ())
                values = np.unique(np.asarray(mask))
            assert values.max() <= 4
            if split == 'train':
                digits = name[name.index('[') + 1 : name.index(']')]
                assert digits == ''.join(str(int(value in values)) for value in range(4))
            else:
                assert '[' not in name


def test_write_dataset__no_case_in_two_splits(written):
    out, manifest = written
    cases = {
        split: {path.name.split('_')[0] for path in (out / folder).iterdir()}
        for split, folder in {'train': 'train', 'val': 'val/img', 'test': 'test/img'}.items()
    }
    assert not cases['train'] & cases['val']
    assert not cases['train'] & cases['test']
    assert not cases['val'] & cases['test']
    assert {split: len(names) for split, names in cases.items()} == {
        split: row['cases'] for split, row in manifest['splits'].items()
    }


def test_write_dataset__workers_do_not_change_a_byte(written, tmp_path):
    _write(tmp_path / 'two', workers=2)
    assert _content(tmp_path / 'two') == _content(written[0])


def test_write_dataset__another_seed_changes_the_fingerprint(written, tmp_path):
    assert _write(tmp_path / 'other', seed=1)[0]['fingerprint'] != written[1]['fingerprint']


def test_write_dataset__repeat_does_nothing(written):
    out, manifest = written
    before = {path: path.stat().st_mtime_ns for path in out.rglob('*')}
    again, lines = _write(out)
    assert again == manifest
    assert len(lines) == 1
    assert 'nothing to do' in lines[0]
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob('*')}


def test_write_dataset__a_changed_file_is_noticed_and_replaced_by_force(tmp_path):
    out = tmp_path / 'set'
    manifest, _ = _write(out)
    victim = next((out / 'train').iterdir())
    victim.write_bytes(b'damaged')
    with pytest.raises(DataError, match='--force'):
        _write(out)
    assert _write(out, force=True)[0] == manifest
    assert victim.read_bytes() != b'damaged'
    assert [path.name for path in tmp_path.iterdir()] == ['set']


def test_write_dataset__other_settings_need_force(written):
    out, manifest = written
    with pytest.raises(DataError, match='holds synthetic tiles of other settings'):
        _write(out, seed=9)
    assert _write(out)[0] == manifest


def test_write_dataset__never_replaces_a_strangers_folder(tmp_path):
    out = tmp_path / 'set'
    out.mkdir()
    (out / 'thesis.txt').write_text('three years of work')
    for force in (False, True):
        with pytest.raises(DataError, match='was not made by this tool'):
            _write(out, force=force)
    assert (out / 'thesis.txt').exists()


def test_write_dataset__takes_an_empty_folder(tmp_path):
    (tmp_path / 'set').mkdir()
    _write(tmp_path / 'set')
    assert (tmp_path / 'set/manifest.json').exists()


@pytest.mark.parametrize(
    ('name', 'value', 'least'),
    [('train', 0, 1), ('val', 0, 1), ('test', -1, 1), ('seed', -1, 0), ('size', 63, 64),
     ('workers', 0, 1), ('train', 2.5, 1)],
)  # fmt: skip
def test_write_dataset__numbers_out_of_range(tmp_path, name, value, least):
    message = f'{name}: found {value}, expected a whole number of at least {least}'
    with pytest.raises(DataError, match=message):
        _write(tmp_path / 'set', **{name: value})
    assert not list(tmp_path.iterdir())


def test_write_dataset__full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device', 'tile.png')

    monkeypatch.setattr(module, '_write_tile', full)
    with pytest.raises(DataError, match=r'tile\.png: cannot be written \(No space left'):
        _write(tmp_path / 'set')
    assert not list(tmp_path.iterdir())


def test_write_dataset__interrupted_by_an_error_keeps_the_old_set(tmp_path, monkeypatch):
    out = tmp_path / 'set'
    _write(out)
    before = _content(out)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, '_write_tile', interrupt)
    with pytest.raises(KeyboardInterrupt):
        _write(out, seed=1, force=True)
    assert _content(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ['set']


def test_write_dataset__killed_leaves_nothing_that_looks_finished(tmp_path):
    out = tmp_path / 'set'
    process = multiprocessing.get_context('fork').Process(
        target=write_dataset, args=(out,), kwargs={**SMALL, 'train': 5000, 'say': _nothing}
    )
    process.start()
    partial = tmp_path / f'.set.{process.pid}.partial'
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.is_alive():
        if (partial / 'train').is_dir() and len(os.listdir(partial / 'train')) > 2:
            break
        time.sleep(0.01)
    process.kill()
    process.join()
    assert partial.is_dir(), 'the process ended before it could be killed'
    assert not out.exists()
    assert not (partial / 'manifest.json').exists()
    _write(out)
    assert [path.name for path in tmp_path.iterdir()] == ['set'], 'remains were not swept away'


def test_format_table__shares_and_combinations(written):
    table = format_table(written[1])
    assert 'TUM' in table
    assert 'white' in table
    for split, row in written[1]['splits'].items():
        assert abs(sum(row['pixel_shares'].values()) - 1) < 1e-9
        assert sum(row['labels'].values()) == SMALL[split]
        assert all(key in table for key in row['labels'])


def test_tool__thin_and_repeatable(tmp_path, capsys):
    path = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'synthetic.py'
    spec = importlib.util.spec_from_file_location('synthetic_tool', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    command = ['--out', str(tmp_path / 'set'), '--size', '64']
    command += ['--train', '4', '--val', '1', '--test', '1']
    assert tool.main(command) == 0
    assert 'tiles with label' in capsys.readouterr().out
    assert tool.main(command) == 0
    assert 'nothing to do' in capsys.readouterr().out
    with pytest.raises(DataError, match='--force'):
        tool.main([*command, '--seed', '1'])
