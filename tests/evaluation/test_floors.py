import math

import numpy as np
import pytest
from PIL import Image

from arml.errors import DataError
from arml.evaluation.floors import (
    BINS,
    TileFiles,
    colour_floor,
    colour_index,
    constant_floor,
    fit_weak_colours,
    tiles_of,
)

CLASSES = ('A', 'B')
RED, BLUE, GREEN = (220, 20, 20), (20, 20, 220), (20, 220, 20)


def _tile(folder, name, colours, mask, label=None):
    image = np.array(colours, np.uint8)
    Image.fromarray(image).save(folder / f'{name}.png')
    values = Image.fromarray(np.array(mask, np.uint8))
    values.putpalette([0, 0, 0, 255, 255, 255, 128, 128, 128])
    values.save(folder / f'{name}_mask.png')
    return TileFiles(folder / f'{name}.png', folder / f'{name}_mask.png', label)


@pytest.fixture
def splits(tmp_path):
    """Red is class 0, blue class 1, green (value 2) is background and never counted."""
    train = [
        _tile(tmp_path, 'a', [[RED, RED], [RED, RED]], [[0, 0], [0, 0]], (1, 0)),
        _tile(tmp_path, 'b', [[RED, BLUE], [BLUE, BLUE]], [[0, 1], [1, 1]], (1, 1)),
    ]
    val = [_tile(tmp_path, 'v', [[RED, RED], [BLUE, GREEN]], [[0, 0], [1, 2]])]
    # One red pixel is really class 1; green pixels are background.
    test = [
        _tile(tmp_path, 't', [[RED, RED], [BLUE, GREEN]], [[0, 1], [1, 2]]),
        _tile(tmp_path, 'u', [[BLUE, BLUE], [RED, GREEN]], [[1, 1], [0, 2]]),
    ]
    return train, val, test


def test_constant_floor__hand_counted(splits):
    _, val, test = splits
    floor = constant_floor(val, test, CLASSES)
    assert floor.choice == {'class': 'A'}
    # Truth on test: two pixels of A, four of B, two dropped; every answer is A.
    assert floor.matrix.tolist() == [[2, 0], [4, 0]]
    assert math.isclose(floor.metrics(CLASSES)['mIoU'], 100 * (2 / 6 + 0) / 2)
    assert floor.supervision == 'none'


def test_constant_floor__is_chosen_on_validation_not_on_test(splits):
    _, val, test = splits
    assert constant_floor(test, val, CLASSES).choice == {'class': 'B'}


@pytest.mark.parametrize('supervision', ['image labels', 'dense masks'])
def test_colour_floor__hand_counted(splits, supervision):
    floor = colour_floor(*splits, CLASSES, supervision)
    # The red pixel of class B in the first tile is the only one that colour gets wrong.
    assert floor.matrix.tolist() == [[2, 0], [1, 3]]
    assert floor.supervision == supervision
    metrics = floor.metrics(CLASSES)
    assert math.isclose(metrics['IoU.A'], 100 * 2 / 3)
    assert math.isclose(metrics['IoU.B'], 100 * 3 / 4)
    assert math.isclose(metrics['mIoU'], 100 * (2 / 3 + 3 / 4) / 2)


def test_colour_floor__image_labels_never_read_training_masks(splits):
    train, val, test = splits
    blind = [tile._replace(mask=None) for tile in train]
    assert np.array_equal(
        colour_floor(blind, val, test, CLASSES).matrix,
        colour_floor(train, val, test, CLASSES).matrix,
    )


def test_colour_floor__says_every_setting(splits):
    lines = []
    colour_floor(*splits, CLASSES, say=lines.append)
    assert len(lines) == 6
    assert all('on validation' in line for line in lines)


def test_fit_weak_colours__naive_loops():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 9, (4, 5)).astype(float)
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]])

    def smooth(table):
        return table + 0.1

    part = labels / labels.sum(1, keepdims=True)
    colours = smooth(part.T @ pixels)
    colours /= colours.sum(1, keepdims=True)
    for _ in range(3):
        owned, shares = np.zeros((3, 5)), np.zeros((4, 3))
        for i in range(4):
            for b in range(5):
                joint = [labels[i, c] * part[i, c] * colours[c, b] for c in range(3)]
                for c in range(3):
                    owned[c, b] += pixels[i, b] * joint[c] / sum(joint)
                    shares[i, c] += pixels[i, b] * joint[c] / sum(joint)
        part = shares / shares.sum(1, keepdims=True)
        colours = smooth(owned)
        colours /= colours.sum(1, keepdims=True)
    found, share = fit_weak_colours(pixels, labels, smooth, rounds=3)
    np.testing.assert_allclose(found, colours, rtol=1e-4)
    np.testing.assert_allclose(share, (part * pixels.sum(1)[:, None]).sum(0) / pixels.sum(), 1e-4)


def test_colour_index__corners():
    image = np.array([[(0, 0, 0), (255, 255, 255), (0, 0, 8)]], np.uint8)
    assert colour_index(image).tolist() == [[0, BINS**3 - 1, 8 * BINS // 256]]


def test_tiles_of__reads_what_the_dataset_knows():
    class Dataset(list):
        def get_data_info(self, index):
            return self[index]

    infos = [{'img_path': 'a.png', 'image_label': [1, 0]}, {'img_path': 'b', 'seg_map_path': 'm'}]
    first, second = tiles_of(Dataset(infos))
    assert (first.label, first.mask) == ((1, 0), None)
    assert (second.label, str(second.mask)) == (None, 'm')


def test_floors__raise(splits, tmp_path):
    train, val, test = splits
    with pytest.raises(ValueError, match='supervision'):
        colour_floor(train, val, test, CLASSES, 'scribbles')
    with pytest.raises(DataError, match='validation split holds no pixel'):
        constant_floor([], test, CLASSES)
    with pytest.raises(DataError, match='test split holds no pixel'):
        constant_floor(val, [], CLASSES)
    with pytest.raises(DataError, match='has no mask'):
        constant_floor([val[0]._replace(mask=None)], test, CLASSES)
    with pytest.raises(DataError, match='class B never occurs'):
        colour_floor(train[:1], val, test, CLASSES)
    with pytest.raises(DataError, match='class B never occurs'):
        colour_floor(train[:1], val, test, CLASSES, 'dense masks')
    with pytest.raises(DataError, match='training split holds no pixel'):
        colour_floor([], val, test, CLASSES, 'dense masks')
    with pytest.raises(DataError, match='training split holds no tile'):
        colour_floor([], val, test, CLASSES)
    with pytest.raises(DataError, match=r'found the image-level label None, expected 2 digits'):
        colour_floor([train[0]._replace(label=None)], val, test, CLASSES)
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'no picture')
    with pytest.raises(DataError, match=r'broken\.png: not a readable image'):
        colour_floor([train[1]._replace(image=broken)], val, test, CLASSES)
    with pytest.raises(DataError, match=r'broken\.png: not a readable mask'):
        constant_floor([val[0]._replace(mask=broken)], test, CLASSES)
    rgb = val[0].image
    with pytest.raises(DataError, match='expected a palette PNG'):
        constant_floor([val[0]._replace(mask=rgb)], test, CLASSES)
    small = _tile(tmp_path, 's', [[RED]], [[0]])
    with pytest.raises(DataError, match='found a mask of 1x1 pixels, expected 2x2'):
        colour_floor(train, [val[0]._replace(mask=small.mask)], test, CLASSES)
