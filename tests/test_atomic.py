"""Files that are whole or absent."""

import errno
import json
import os
import stat

import numpy as np
import pytest

from arml.atomic import replacing, unwritable, write_json, write_text
from arml.errors import ArmlError


def test_atomic__writes_and_replaces(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.txt'
    write_text(path, 'one, ä')
    write_text(path, 'two')
    assert path.read_text(encoding='utf-8') == 'two'
    assert os.listdir(path.parent) == ['a.txt']


def test_atomic__old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / 'a.txt'
    write_text(path, 'old')
    with replacing(path) as temporary:
        temporary.write_text('half')
        assert path.read_text() == 'old'
        assert temporary.suffix == '.txt'
        assert temporary.parent == path.parent
        assert temporary.name.startswith('.')  # so that no glob for *.txt takes it
        temporary.write_text('whole')
    assert path.read_text() == 'whole'


def test_atomic__an_error_in_between_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / 'a.txt'
    write_text(path, 'old')

    def interrupted():
        with replacing(path) as temporary:
            temporary.write_text('half')
            raise KeyError('x')

    with pytest.raises(KeyError):
        interrupted()
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


@pytest.mark.parametrize('function', ['replace', 'fsync'])
def test_atomic__full_disk(tmp_path, monkeypatch, function):
    path = tmp_path / 'a.txt'
    write_text(path, 'old')

    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, function, full)
    with pytest.raises(ArmlError, match=r'a\.txt: the disk is full \(\d+ MiB free.*ARML_STORE'):
        write_text(path, 'new')
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_atomic__a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(ArmlError, match=r'cannot write .*file/a\.txt.*Check that .* is a folder'):
        write_text(tmp_path / 'file' / 'a.txt', 'x')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(ArmlError, match='cannot write .*folder'):
        write_text(tmp_path / 'folder', 'x')


def test_atomic__mode_is_that_of_any_new_file(tmp_path):
    (tmp_path / 'usual').write_text('x')
    write_text(tmp_path / 'ours', 'x')
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ('usual', 'ours')}
    assert len(modes) == 1


def test_atomic__json_is_json(tmp_path):
    value = {
        'nan': float('nan'),
        'numpy': np.float32(0.5),
        'array': [np.int64(3), np.float64('nan')],
        'path': tmp_path,
        7: (1, None, True),
    }
    write_json(tmp_path / 'a.json', value)

    def refuse(name):
        raise AssertionError(name)

    read = json.loads((tmp_path / 'a.json').read_text(), parse_constant=refuse)
    assert read == {
        'nan': None, 'numpy': 0.5, 'array': [3, None], 'path': str(tmp_path), '7': [1, None, True],
    }  # fmt: skip


def test_atomic__infinity_is_no_json_either(tmp_path):
    write_json(tmp_path / 'a.json', {'x': [float('inf'), -float('inf')]})
    assert json.loads((tmp_path / 'a.json').read_text()) == {'x': [None, None]}


def test_atomic__long_names(tmp_path):
    path = tmp_path / ('x' * 240 + '.txt')
    write_text(path, 'x')
    assert path.read_text() == 'x'


def test_atomic__unwritable_names_the_nearest_folder(tmp_path):
    error = unwritable(tmp_path / 'a' / 'b' / 'c.txt', OSError(errno.EACCES, 'Permission denied'))
    assert f'Permission denied. Check that {tmp_path} is a folder' in str(error)
