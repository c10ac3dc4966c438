"""A published archive that is damaged is named, file by file."""

import zipfile

import pytest

from arml.datasets.conversion.source import Source
from arml.errors import DataError


def test_read__damaged_in_the_archive(tmp_path):
    archive = tmp_path / 'published.zip'
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as made:
        made.writestr('tiles/a.png', bytes(range(256)) * 40)
        made.writestr('tiles/b.png', b'whole')
    content = bytearray(archive.read_bytes())
    start = content.index(b'a.png') + len('a.png')
    content[start : start + 40] = b'\xff' * 40  # no block of deflate begins so
    archive.write_bytes(content)
    with Source([archive]) as source:
        a, b = (next(n for n in source.names() if n.endswith(x)) for x in ('a.png', 'b.png'))
        with pytest.raises(DataError, match=r'a\.png: damaged in the source \(Error -3'):
            source.read(a)
        assert source.read(b) == b'whole'


def test_read__gone_from_the_folder(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'x')
    with Source([tmp_path]) as source:
        (tmp_path / 'a.png').unlink()
        with pytest.raises(DataError, match=r'a\.png: cannot be read from the source'):
            source.read(source.names()[0])
