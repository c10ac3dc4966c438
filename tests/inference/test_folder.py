"""Predicting image files."""

import json

import numpy as np
import pytest
from PIL import Image

from arml.errors import ConfigError, DataError
from arml.inference.folder import (
    check_arguments,
    find_images,
    overlay,
    predict_images,
    shares_csv,
)

PALETTE = [(255, 0, 0), (0, 255, 0)]


class HalfPredictor:
    """Says x left and y right."""

    classes, palette, background_color = ('x', 'y'), PALETTE, (255, 255, 255)
    mpp, input_size, tile_size, overlap = 0.5, (16, 16), (16, 16), 0.5

    def __call__(self, image, mpp=None):
        probabilities = np.zeros((2, *image.shape[:2]), dtype=np.float32)
        probabilities[0, :, : image.shape[1] // 4] = 1
        probabilities[1] = 1 - probabilities[0]
        return probabilities


def write_image(path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (8, 6), (value, value, value)).save(path)


def test_find_images__files_and_folders(tmp_path):
    for name in ('folder/b.png', 'folder/sub/a.jpg', 'single.TIF'):
        write_image(tmp_path / name)
    (tmp_path / 'folder' / 'notes.txt').touch()
    found = find_images([tmp_path / 'single.TIF', str(tmp_path / 'folder')])
    assert found == {
        'single': tmp_path / 'single.TIF',
        'b': tmp_path / 'folder/b.png',
        'sub/a': tmp_path / 'folder/sub/a.jpg',
    }


def test_find_images__raises(tmp_path):
    with pytest.raises(DataError, match='none: no such file or folder'):
        find_images([tmp_path / 'none'])
    with pytest.raises(DataError, match='no image in this folder'):
        find_images([tmp_path])
    write_image(tmp_path / 'a.png')
    write_image(tmp_path / 'a.jpg')
    with pytest.raises(DataError, match=r'would both be written as a\.png'):
        find_images([tmp_path])


def test_overlay__mixes_colours_and_draws_outlines():
    image = np.full((10, 12, 3), 100, dtype=np.uint8)
    mask = np.zeros((10, 12), dtype=np.uint8)
    mask[:, 6:] = 1
    mixed = overlay(image, mask, PALETTE, alpha=0.5)
    assert mixed[5, 0].tolist() == [178, 50, 50]
    assert mixed[5, 11].tolist() == [50, 178, 50]
    assert mixed[5, 5].tolist() == [127, 0, 0]  # the outline
    assert np.array_equal(overlay(image, mask, PALETTE, alpha=0), image)


def test_predict_images__everything_that_is_left_behind(tmp_path, capsys):
    write_image(tmp_path / 'in' / 'a.png')
    write_image(tmp_path / 'in' / 'sub' / 'b.png')
    (tmp_path / 'in' / 'broken.png').write_bytes(b'not a picture')
    images = find_images([tmp_path / 'in'])
    done = predict_images(HalfPredictor(), images, tmp_path / 'out', mpp=1.0, settings={'by': 'me'})
    assert done.shares == {'a': [0.25, 0.75], 'sub/b': [0.25, 0.75]}
    assert len(done.faults) == 1
    assert 'broken.png' in done.faults[0]

    with Image.open(tmp_path / 'out/masks/sub/b.png') as mask:
        assert mask.mode == 'P'
        assert np.array(mask)[0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
        assert mask.convert('RGB').getpixel((0, 0)) == (255, 0, 0)
    with Image.open(tmp_path / 'out/overlays/a.png') as picture:
        assert picture.size == (8, 6)
    lines = (tmp_path / 'out/shares.csv').read_text().splitlines()
    assert lines == ['image,x,y', 'a,0.250000,0.750000', 'sub/b,0.250000,0.750000']
    settings = json.loads((tmp_path / 'out/settings.json').read_text())
    assert settings['by'] == 'me'
    assert settings['mpp'] == 1.0
    assert settings['rescaled_by_mpp'] is True
    assert settings['faults'] == done.faults
    files = {p.relative_to(tmp_path / 'out').as_posix() for p in (tmp_path / 'out').rglob('*.*')}
    assert files == {
        *(f'{kind}/{name}.png' for kind in ('masks', 'overlays') for name in ('a', 'sub/b')),
        'legend.png',
        'shares.csv',
        'settings.json',
    }
    assert 'prediction: 3/3' in capsys.readouterr().err


class WithBackground(HalfPredictor):
    """Says background where HalfPredictor says y, in a colour of its own."""

    background_color = (10, 20, 30)

    def __call__(self, image, mpp=None):
        return np.insert(super().__call__(image, mpp), 1, 0, axis=0)


def test_predict_images__background_is_a_class_where_it_is_predicted(tmp_path):
    write_image(tmp_path / 'a.png', value=0)
    out = tmp_path / 'out'
    done = predict_images(WithBackground(), find_images([tmp_path / 'a.png']), out, alpha=1)
    assert done.shares == {'a': [0.25, 0.0, 0.75]}
    assert (out / 'shares.csv').read_text().splitlines() == [
        'image,x,y,background',
        'a,0.250000,0.000000,0.750000',
    ]
    with Image.open(out / 'masks/a.png') as mask:
        assert np.unique(np.array(mask)).tolist() == [0, 2]
        assert mask.convert('RGB').getpixel((7, 0)) == (10, 20, 30)
    with Image.open(out / 'overlays/a.png') as picture:
        assert picture.getpixel((7, 0)) == (10, 20, 30)
    with Image.open(out / 'legend.png') as legend:
        colours = {colour for _, colour in legend.convert('RGB').getcolors(2**24)}
    assert {(10, 20, 30), *PALETTE} <= colours
    settings = json.loads((out / 'settings.json').read_text())
    assert settings['classes'] == ['x', 'y', 'background']
    assert settings['palette'] == [[255, 0, 0], [0, 255, 0], [10, 20, 30]]


def test_shares_csv__quotes_names():
    assert shares_csv({'a,b': [1.0]}, ['x']) == 'image,x\n"a,b",1.000000\n'


def test_check_arguments__raises(tmp_path):
    check_arguments(None, 0.4)
    with pytest.raises(ConfigError, match='mpp: found 0'):
        check_arguments(0, 0.4)
    with pytest.raises(ConfigError, match='overlay alpha: found 2'):
        check_arguments(0.5, 2)
    with pytest.raises(ConfigError, match='overlay alpha'):
        predict_images(HalfPredictor(), {}, tmp_path, alpha=-1)
