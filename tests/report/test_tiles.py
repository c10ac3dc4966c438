"""Tile sheets: colours, names inside regions, one whole picture."""

import os

import numpy as np
import pytest
from PIL import Image

from arml.report.tiles import (
    IGNORED_COLOUR,
    TileRow,
    colour_mask,
    draw_legend,
    region_labels,
    tile_sheet,
)

CLASSES = ('TUM', 'STR')
PALETTE = ((255, 0, 0), (0, 255, 0))


def test_colour_mask__every_kind_of_label():
    mask = np.array([[0, 1], [2, 255]])
    colours = colour_mask(mask, PALETTE, background_colour=(250, 250, 250))
    assert colours.dtype == np.uint8
    assert colours.tolist() == [
        [[255, 0, 0], [0, 255, 0]],
        [[250, 250, 250], list(IGNORED_COLOUR)],
    ]


def test_region_labels__lie_inside_their_regions():
    mask = np.ones((40, 40), dtype=int)
    mask[:, :6] = 0
    mask[10:30, 20:36] = 0
    mask[0, 39] = 0  # too small to be named
    mask[38:, 10:] = 255
    places = region_labels(mask, CLASSES)
    assert sorted(name for *_, name in places) == ['STR', 'TUM', 'TUM']
    for x, y, name in places:
        assert CLASSES[mask[round(y), round(x)]] == name


def test_region_labels__a_whole_tile_is_named_in_its_middle():
    ((x, y, name),) = region_labels(np.zeros((41, 61), dtype=int), CLASSES)
    assert (y, name) == (20, 'TUM')
    assert abs(x - 30) < 2


def row(**masks) -> TileRow:
    tile = np.full((24, 24, 3), 200, dtype=np.uint8)
    return TileRow(tile, masks, title='a file name that is much too long for its place.png')


def test_tile_sheet__leaves_one_whole_picture_in_the_published_colours(tmp_path):
    mask = np.zeros((24, 24), dtype=np.uint8)
    mask[:, 12:] = 1
    rows = [row(truth=mask, prediction=mask), row(truth=None, prediction=mask.T)]
    path = tile_sheet(rows, CLASSES, PALETTE, tmp_path / 'out' / 'tiles.png', title='tiny')
    with Image.open(path) as picture:
        colours = dict((c, n) for n, c in picture.convert('RGB').getcolors(2**24))
    # both classes in both masks, far more than the legend alone has
    assert min(colours[(255, 0, 0)], colours[(0, 255, 0)]) > 50_000
    assert os.listdir(path.parent) == ['tiles.png']


@pytest.mark.parametrize('columns', [1, 3])
def test_tile_sheet__long_titles_are_not_cut(tmp_path, columns):
    long = 'a rather long name of a column of masks'
    masks = {f'{long} {i}': np.zeros((24, 24), dtype=np.uint8) for i in range(columns)}
    title = 'arml_resnest101_bcss, seed 0: ' + 'pseudo masks of training tiles, ' * 4
    rows = [TileRow(np.full((24, 24, 3), 255, dtype=np.uint8), masks)]
    path = tile_sheet(rows, CLASSES, PALETTE, tmp_path / 'tiles.png', title=title)
    with Image.open(path) as picture:
        pixels = np.array(picture.convert('L'))
    above = pixels[: pixels.shape[0] // 5]  # the titles
    assert above.min() < 60  # there is a title
    for edge in (above[0], above[:, :3], above[:, -3:]):
        assert edge.min() == 255


def test_tile_sheet__raises(tmp_path):
    path = tmp_path / 'tiles.png'
    mask = np.zeros((24, 24), dtype=np.uint8)
    with pytest.raises(ValueError, match='at least one row'):
        tile_sheet([], CLASSES, PALETTE, path)
    with pytest.raises(ValueError, match='rows differ in their columns'):
        tile_sheet([row(truth=mask), row(prediction=mask)], CLASSES, PALETTE, path)
    with pytest.raises(ValueError, match=r'the mask is \(23, 24\), its tile \(24, 24\)'):
        tile_sheet([row(truth=mask[1:])], CLASSES, PALETTE, path)
    with pytest.raises(ValueError, match=r'the mask holds \[9\]'):
        tile_sheet([row(truth=mask + 9)], CLASSES, PALETTE, path)
    with pytest.raises(ValueError, match=r'a mask is \(H, W\)'):
        colour_mask(mask[None], PALETTE)
    assert os.listdir(tmp_path) == []


def test_draw_legend__holds_every_colour(tmp_path):
    path = draw_legend(CLASSES, PALETTE, tmp_path / 'legend.png')
    with Image.open(path) as picture:
        colours = dict((c, n) for n, c in picture.convert('RGB').getcolors(2**24))
    assert min(colours[(255, 0, 0)], colours[(0, 255, 0)]) > 100
