"""Files are looked at once while many configs are keyed, and again afterwards."""

import os

import pytest
from conftest import write_fake_tissue

from arml.errors import DataError
from arml.pipeline import keys
from arml.pipeline.data import data_fingerprint, dense_fingerprint, files_at_rest


@pytest.mark.parametrize('look', [data_fingerprint, dense_fingerprint])
def test_files_at_rest__one_look(look, tmp_path):
    data = write_fake_tissue(tmp_path / 'data')
    settings = {'type': 'arml.BCSSDataset', 'split': 'val', 'data_root': str(data), 'seed': 0}
    before = look(settings, None)
    with files_at_rest():
        assert look(settings, None) == before
        for name in ('img', 'mask'):
            next((data / 'val' / name).iterdir()).unlink()
        assert look({**settings, 'seed': 1, 'augmentation': 'flips'}, None) == before
        assert look({**settings, 'split': 'test'}, None) != before
        with pytest.raises(DataError):
            look({**settings, 'data_root': str(tmp_path / 'nowhere')}, None)
    assert look(settings, None) != before


def test_weights__are_read_once_and_again_when_they_change(tmp_path, monkeypatch):
    file, reads = tmp_path / 'net.pth', []
    real = keys.file_sha256
    monkeypatch.setattr(keys, 'file_sha256', lambda path: reads.append(path) or real(path))
    file.write_bytes(b'one')
    one = keys.content_of(str(file))
    assert keys.content_of(str(file)) == one
    assert len(reads) == 1
    times = file.stat()
    file.write_bytes(b'two')
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # its change time tells
    assert keys.content_of(str(file)) != one
    assert len(reads) == 2
