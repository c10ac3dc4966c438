"""Palette PNG files of masks."""

import numpy as np
import pytest
from PIL import Image

from arml.errors import DataError
from arml.pseudo.io import read_mask, write_mask

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (153, 0, 255), (255, 255, 255))


def test_write_mask__round_trip_as_palette(tmp_path):
    mask = np.random.default_rng(0).integers(0, 5, (13, 17), dtype=np.uint8)
    path = tmp_path / 'masks' / 'tile.png'
    write_mask(path, mask, PALETTE)
    np.testing.assert_array_equal(read_mask(path), mask)
    with Image.open(path) as image:
        assert image.mode == 'P'
        colours = np.array(image.convert('RGB'))
    np.testing.assert_array_equal(colours, np.array(PALETTE)[mask])
    assert [p.name for p in path.parent.iterdir()] == ['tile.png']


def test_write_mask__a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'tile.png'
    write_mask(path, np.zeros((3, 3), np.uint8), PALETTE)
    before = path.read_bytes()

    def fail(self, file, **kwargs):
        file.write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Image.Image, 'save', fail)
    with pytest.raises(Exception, match='tile.png: the disk is full'):
        write_mask(path, np.ones((3, 3), np.uint8), PALETTE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        (np.full((2, 2), 5, np.uint8), r'found values 5\.\.5, but the palette has .* 0\.\.4 only'),
        (np.full((2, 2), -1), r'found values -1'),
        (np.zeros((2, 2, 3), np.uint8), r'expected integers \(H, W\), found uint8 \(2, 2, 3\)'),
        (np.zeros((2, 2)), 'found float64'),
    ],
)
def test_write_mask__refuses(mask, message, tmp_path):
    with pytest.raises(DataError, match=message):
        write_mask(tmp_path / 'tile.png', mask, PALETTE)
    assert not list(tmp_path.iterdir())


def test_read_mask__refuses(tmp_path):
    with pytest.raises(DataError, match=r'nothing.png: no such file'):
        read_mask(tmp_path / 'nothing.png')
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\nbroken')
    with pytest.raises(DataError, match=r'broken.png: cannot be read'):
        read_mask(tmp_path / 'broken.png')
    Image.new('RGB', (2, 2)).save(tmp_path / 'colours.png')
    with pytest.raises(DataError, match='found an image of mode RGB'):
        read_mask(tmp_path / 'colours.png')
