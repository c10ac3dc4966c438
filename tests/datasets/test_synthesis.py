import numpy as np
import pytest

from arml.datasets.synthesis import (
    COMBINATIONS,
    PALETTE,
    TILES_PER_CASE,
    draw_layout,
    draw_tile,
    label_of,
)
from arml.datasets.synthesis.fields import fibres, smooth_noise, warped_noise
from arml.datasets.synthesis.layout import SMALLEST_SHARE, draw_combination
from arml.datasets.synthesis.nuclei import LYMPHOCYTE, Canvas, chromatin, draw, scatter
from arml.datasets.synthesis.stain import draw_case, expose


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_draw_tile__same_numbers_same_bytes(split):
    first, again = draw_tile(3, split, 7, 96), draw_tile(3, split, 7, 96)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.mask.tobytes() == again.mask.tobytes()


def test_draw_tile__seed_split_and_number_each_change_it():
    pictures = [
        draw_tile(*key, 64).image.tobytes()
        for key in [(0, 'train', 0), (1, 'train', 0), (0, 'val', 0), (0, 'train', 1)]
    ]
    assert len(set(pictures)) == 4


def test_draw_tile__does_not_touch_the_global_generator():
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    draw_tile(0, 'train', 0, 64)
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.parametrize('size', [64, 96, 224])
def test_draw_tile__shapes_and_types(size):
    tile = draw_tile(0, 'test', 2, size)
    assert tile.image.shape == (size, size, 3)
    assert tile.image.dtype == np.uint8
    assert tile.mask.shape == (size, size)
    assert tile.mask.dtype == np.uint8


def test_draw_tile__label_and_mask_agree_and_small_classes_are_left_out():
    labels = []
    for number in range(60):
        mask = draw_tile(0, 'train', number, 112).mask
        shares = np.bincount(mask.ravel(), minlength=5) / mask.size
        assert len(shares) == 5
        assert all(share == 0 or share >= SMALLEST_SHARE for share in shares)
        labels.append(label_of(mask))
        assert labels[-1] == tuple(int(share >= SMALLEST_SHARE) for share in shares[:4])
    labels = np.array(labels)
    assert labels.any(1).all()
    assert labels.any(0).all(), 'a class is never there'
    assert (~labels.astype(bool)).any(0).all(), 'a class is always there'
    assert (labels.sum(1) == 1).any(), 'no tile of a single class'
    assert (labels.sum(1) >= 3).any()


def test_draw_tile__tiles_of_a_case_share_the_stain():
    def glass_and_tissue(number):
        return draw_tile(5, 'train', number, 64).image.reshape(-1, 3).astype(float).mean(0)

    means = np.array([glass_and_tissue(number) for number in range(20 * TILES_PER_CASE)])
    groups = means.reshape(20, TILES_PER_CASE, 3)
    # Blue over red hangs on the vectors of the stains far more than on the tissue.
    tint = groups[..., 2] / groups[..., 0]
    assert tint.mean(1).std() > 0.5 * tint.std(1).mean()


def test_draw_combination__every_wanted_label_comes_up():
    rng = np.random.default_rng(0)
    drawn = {draw_combination(rng) for _ in range(600)}
    assert drawn == {label for label, _ in COMBINATIONS}


@pytest.mark.parametrize('label', [label for label, _ in COMBINATIONS])
def test_draw_layout__holds_what_is_wanted_and_nothing_else(label):
    found = [label_of(draw_layout(np.random.default_rng(seed), 224, label)) for seed in range(8)]
    assert all(all(f <= w for f, w in zip(one, label, strict=True)) for one in found)
    assert found.count(label) >= 6


def test_draw_tile__colour_of_a_pixel_does_not_tell_the_class():
    pixels = {value: [] for value in range(4)}
    for number in range(24):
        tile = draw_tile(0, 'train', number, 96)
        for value in pixels:
            pixels[value].append(tile.image[tile.mask == value])
    means = np.array([np.concatenate(pixels[value]).mean(0) for value in range(4)])
    deviation = np.mean([np.concatenate(pixels[value]).std(0) for value in range(4)], 0)
    gaps = np.abs(means[:, None] - means[None]) / deviation
    assert gaps.max() < 3


def test_draw_tile__white_is_bright_and_tissue_is_pink():
    white, tissue = [], []
    for number in range(40):
        tile = draw_tile(0, 'train', number, 96)
        white.append(tile.image[tile.mask == 4])
        tissue.append(tile.image[tile.mask < 4])
    white, tissue = np.concatenate(white).mean(0), np.concatenate(tissue).mean(0)
    assert white.min() > 215
    assert tissue[1] < tissue[0]
    assert tissue[1] < tissue[2]


def test_palette__is_that_of_bcss():
    assert PALETTE == ((255, 0, 0), (0, 255, 0), (0, 0, 255), (153, 0, 255), (255, 255, 255))


@pytest.mark.parametrize('scale', [1.6, 7.0, 15.9, 16.0, 48.0, 300.0])
def test_smooth_noise__shape_and_spread(scale):
    fields = [smooth_noise(np.random.default_rng(seed), 100, scale) for seed in range(60)]
    assert all(field.shape == (100, 100) and field.dtype == np.float32 for field in fields)
    assert abs(np.mean(fields)) < 0.35
    assert 0.7 < np.std(fields) < 1.3


def test_warped_noise_and_fibres__shape():
    rng = np.random.default_rng(0)
    for field in (warped_noise(rng, 70, 20.0), fibres(rng, 70, 0.3, 2.4, 7.0)):
        assert field.shape == (70, 70)
        assert np.isfinite(field).all()


def test_fibres__run_along_their_angle():
    rng = np.random.default_rng(0)
    field = fibres(rng, 128, 0.0, 2.4, 0.0)
    along = np.abs(np.diff(field, axis=1)).mean()
    across = np.abs(np.diff(field, axis=0)).mean()
    assert along < 0.4 * across


def test_scatter__points_keep_their_distance():
    points = scatter(np.random.default_rng(0), 100, 10.0, 0.0)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    gaps[np.diag_indices(len(points))] = np.inf
    np.testing.assert_allclose(gaps.min(1), 10.0, rtol=0.01)


def test_chromatin__only_inside_nuclei():
    rng = np.random.default_rng(0)
    canvas = Canvas.empty(40)
    draw(rng, canvas, LYMPHOCYTE, np.array([[20.0, 20.0]]))
    amount, eosin, distance = chromatin(canvas, np.zeros((40, 40), np.float32))
    assert amount[20, 20] > 0.5
    assert not amount[canvas.index == 0].any()
    assert (eosin[canvas.index == 0] == 1).all()
    assert distance[20, 20] == 0
    assert distance[0, 0] > 15


def test_expose__more_stain_is_darker():
    rng = np.random.default_rng(0)
    case = draw_case(rng)
    none, some = np.zeros((48, 48), np.float32), np.full((48, 48), 0.8, np.float32)
    glass = expose(np.random.default_rng(1), case, none, none).mean()
    pink = expose(np.random.default_rng(1), case, none, some)
    blue = expose(np.random.default_rng(1), case, some, none)
    assert glass > 220
    assert pink.mean() < glass - 30
    assert blue.mean() < glass - 30
    assert pink[..., 0].mean() > blue[..., 0].mean() + 30
