import hashlib
import json
import os

import pytest

from arml.datasets import fingerprint as module
from arml.datasets.fingerprint import fingerprint
from arml.errors import DataError


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'data' / 'b').mkdir(parents=True)
    (tmp_path / 'data' / 'a.png').write_bytes(b'one')
    (tmp_path / 'data' / 'b' / 'c.png').write_bytes(b'two')
    return tmp_path / 'data'


def _files(root):
    return [path for path in root.rglob('*') if path.is_file()]


def test_fingerprint__as_defined(root):
    one, two = (hashlib.sha256(content).hexdigest() for content in (b'one', b'two'))
    text = f'a.png\0{one}\nb/c.png\0{two}\n'
    assert fingerprint(_files(root), root) == hashlib.sha256(text.encode()).hexdigest()


def test_fingerprint__order_repeats_and_place_do_not_matter(root, tmp_path):
    first = fingerprint(_files(root), root)
    assert fingerprint([*reversed(_files(root)), *_files(root)], root) == first
    moved = root.rename(tmp_path / 'elsewhere')
    assert fingerprint(_files(moved), moved) == first


@pytest.mark.parametrize('change', ['content', 'name', 'added', 'removed'])
def test_fingerprint__changes(root, change):
    first = fingerprint(_files(root), root)
    if change == 'content':
        (root / 'a.png').write_bytes(b'One')
    elif change == 'name':
        (root / 'a.png').rename(root / 'z.png')
    elif change == 'added':
        (root / 'z.png').write_bytes(b'')
    else:
        (root / 'a.png').unlink()
    assert fingerprint(_files(root), root) != first


def test_fingerprint__cache_saves_reading_and_sees_changes(root, tmp_path, monkeypatch):
    cache = tmp_path / 'cache' / 'hashes.json'
    first = fingerprint(_files(root), root, cache)
    read = []
    original = module.file_sha256
    monkeypatch.setattr(module, 'file_sha256', lambda path: read.append(path) or original(path))
    assert fingerprint(_files(root), root, cache) == first
    assert read == []
    (root / 'a.png').write_bytes(b'One')  # same size, another time
    os.utime(root / 'a.png', ns=(1, 1))
    assert fingerprint(_files(root), root, cache) != first
    assert read == [root / 'a.png']


def test_fingerprint__cache_keeps_other_files(root, tmp_path):
    cache = tmp_path / 'hashes.json'
    fingerprint(_files(root), root, cache)
    (root / 'new.png').write_bytes(b'three')
    fingerprint([root / 'new.png'], root, cache)
    assert set(json.loads(cache.read_text())) == {'a.png', 'b/c.png', 'new.png'}


@pytest.mark.parametrize('content', ['', 'not json', '[]', '{"a.png": 3}'])
def test_fingerprint__damaged_cache_is_made_anew(root, tmp_path, content):
    cache = tmp_path / 'hashes.json'
    cache.write_text(content)
    assert fingerprint(_files(root), root, cache) == fingerprint(_files(root), root)
    assert set(json.loads(cache.read_text())) == {'a.png', 'b/c.png'}


def test_fingerprint__missing_file(root):
    with pytest.raises(DataError, match=r'none\.png: cannot be read'):
        fingerprint([root / 'none.png'], root)
    with pytest.raises(DataError, match=r'none\.png: cannot be read'):
        module.file_sha256(root / 'none.png')


def test_fingerprint__outside_root(root):
    with pytest.raises(DataError, match='not under the data folder'):
        fingerprint([root.parent / 'x.png'], root)
