"""Mask rules: normalisation, gating, ties, white areas."""

import numpy as np
import pytest
import torch

from arml.datasets.white_area import white_area
from arml.errors import ConfigError
from arml.pseudo.rules import (
    MaskRule,
    gate,
    joint_min_max,
    per_class_min_max,
    strongest_present,
)
from arml.registry import MASK_RULES

ALL = torch.ones(4, dtype=torch.bool)


@pytest.fixture
def maps() -> torch.Tensor:
    return torch.randn(4, 6, 7, generator=torch.Generator().manual_seed(0))


def test_joint_min_max__one_scale_for_all_classes(maps):
    scaled = joint_min_max(maps)
    assert (scaled == 1).sum() == 1
    assert (scaled == 0).sum() == 1
    torch.testing.assert_close(scaled, (maps - maps.min()) / (maps.max() - maps.min()))
    assert torch.equal(scaled.argmax(0), maps.argmax(0))


def test_per_class_min_max__each_class_its_own_scale(maps):
    scaled = per_class_min_max(maps)
    assert (scaled.amax((1, 2)) == 1).all()
    assert (scaled.amin((1, 2)) == 0).all()
    torch.testing.assert_close(per_class_min_max(maps)[2], joint_min_max(maps[2:3])[0])


@pytest.mark.parametrize('function', [joint_min_max, per_class_min_max])
def test_min_max__constant_maps_become_zero(function):
    assert torch.equal(function(torch.full((4, 3, 3), 7.0)), torch.zeros(4, 3, 3))


def test_gate__absent_maps_are_zero(maps):
    present = torch.tensor([True, False, True, False])
    gated = gate(maps, present)
    assert not gated[~present].any()
    assert torch.equal(gated[present], maps[present])


def test_mask_rule__joint_gated_argmax(maps):
    present = torch.tensor([False, True, False, True])
    mask = MASK_RULES.build({'type': 'arml.MaskRule'})(maps, present)
    assert mask.mask.dtype == np.uint8
    assert set(np.unique(mask.mask)) == {1, 3}
    expected = np.where(maps[3] > maps[1], 3, 1)
    np.testing.assert_array_equal(mask.mask, expected)
    torch.testing.assert_close(mask.maps, gate(joint_min_max(maps), present))


def test_mask_rule__normalisation_decides():
    weak_but_certain = torch.tensor([[[0.0, 10.0]], [[1.0, 2.0]]])
    present = torch.ones(2, dtype=torch.bool)
    assert MaskRule('joint')(weak_but_certain, present).mask.tolist() == [[1, 0]]
    # Per class both are 1 at the second pixel and 0 at the first: ties go to the first class.
    assert MaskRule('per_class')(weak_but_certain, present).mask.tolist() == [[0, 0]]


@pytest.mark.parametrize('fill', [0.0, 1.0, -3.0])
def test_mask_rule__absent_class_never_wins_a_tie(fill):
    maps = torch.full((4, 3, 3), fill)
    present = torch.tensor([False, False, True, False])
    assert (MaskRule()(maps, present).mask == 2).all()
    maps[2] = -5.0
    assert (MaskRule()(maps, present).mask == 2).all()
    assert (MaskRule('per_class')(maps, present).mask == 2).all()


def test_mask_rule__single_label_gives_a_constant_mask(maps):
    present = torch.tensor([False, False, False, True])
    assert (MaskRule()(maps, present).mask == 3).all()


def test_mask_rule__no_class_at_all_is_background(maps):
    mask = MaskRule()(maps, torch.zeros(4, dtype=torch.bool))
    assert (mask.mask == 4).all()
    assert not mask.maps.any()


def test_strongest_present__among_equals_the_first_present():
    maps = torch.zeros(3, 1, 1)
    assert strongest_present(maps, torch.tensor([False, True, True])).item() == 1


def white_image(*blobs: int) -> np.ndarray:
    """A dark tile with one white row of 10 pixels wide blobs of the given sizes."""
    image = np.full((40, 12 * len(blobs), 3), 90, np.uint8)
    for index, size in enumerate(blobs):
        for pixel in range(size):
            image[2 + pixel // 10, 12 * index + 1 + pixel % 10] = 255
    return image


def test_white_area__blob_of_49_is_dropped_and_of_50_kept():
    white = white_area(white_image(49, 50))
    assert white[:, :12].sum() == 0
    assert white[:, 12:].sum() == 50


def test_white_area__diagonal_neighbours_are_two_blobs():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:5, :6] = image[5:10, 6:12] = 255
    assert white_area(image, min_size=30).sum() == 60
    assert white_area(image, min_size=31).sum() == 0


def test_white_area__threshold_is_exclusive_and_a_leaf():
    image = np.full((10, 10, 3), 200, np.uint8)
    assert not white_area(image).any()
    assert white_area(image + 1).all()
    assert white_area(image, threshold=199).all()
    assert not white_area(image, min_size=101, threshold=199).any()


def test_white_area__gray_weights():
    image = np.zeros((10, 10, 3), np.uint8)
    image[..., 0] = 255
    assert white_area(image, threshold=75).all()
    assert not white_area(image, threshold=76).any()


def test_white_area__refuses():
    with pytest.raises(ValueError, match='expected an RGB image'):
        white_area(np.zeros((5, 5), np.uint8))
    with pytest.raises(ValueError, match='float64'):
        white_area(np.zeros((5, 5, 3)))


def test_mask_rule__white_areas_beat_every_map():
    image = white_image(50)
    maps = torch.rand(4, *image.shape[:2]) * 100
    rule = MaskRule(white_area={'threshold': 200, 'min_size': 50})
    mask = rule(maps, ALL, image)
    np.testing.assert_array_equal(mask.mask == 4, white_area(image))
    assert rule.needs_image
    off = MaskRule(white_area=None)
    assert not off.needs_image
    assert off(maps, ALL, image).mask.max() < 4


def test_mask_rule__refuses(maps):
    with pytest.raises(ConfigError, match="normalisation: found 'max'"):
        MaskRule(normalisation='max')
    with pytest.raises(ConfigError, match='white_area: found size'):
        MaskRule(white_area={'size': 3})
    with pytest.raises(ValueError, match=r'present \(K,\), found \(4, 6, 7\) and \(3,\)'):
        MaskRule()(maps, ALL[:3])
    rule = MaskRule(white_area={})
    with pytest.raises(ValueError, match='needs the image'):
        rule(maps, ALL)
    with pytest.raises(ValueError, match='needs the image'):
        rule(maps, ALL, np.zeros((5, 5, 3), np.uint8))
