"""Named recipes of augmentation, and the steps that only they use."""

import cv2
import numpy as np
import pytest

import arml.datasets  # noqa: F401
from arml.datasets.transforms.augment import brighten, stretch
from arml.datasets.transforms.recipes import RECIPES, name_recipe
from arml.errors import ConfigError
from arml.registry import TRANSFORMS

MARK = dict(type='arml.Augment')


def image(seed=0, size=8):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize('name', RECIPES)
def test_recipes__run_and_keep_shapes(name):
    np.random.seed(0)  # noqa: NPY002
    augment = TRANSFORMS.build(dict(MARK, recipe=name))
    mask = np.zeros((8, 8), np.uint8)
    for seed in range(8):
        results = dict(
            img=image(seed), img_shape=(8, 8), gt_seg_map=mask.copy(), seg_fields=['gt_seg_map']
        )
        found = augment(results)
        assert found['img'].shape == (8, 8, 3)
        assert found['img'].dtype == np.uint8
        assert found['gt_seg_map'].shape == (8, 8)
    assert name in repr(augment)


def test_recipes__unknown():
    with pytest.raises(
        ConfigError, match=r"augmentation: found 'flip', expected one of none, flips"
    ):
        TRANSFORMS.build(dict(MARK, recipe='flip'))


def test_recipes__the_data_set_names_it():
    assert name_recipe([dict(type='a'), MARK], 'flips') == [
        dict(type='a'), dict(MARK, recipe='flips'),
    ]  # fmt: skip
    own = [dict(MARK, recipe='none')]
    assert name_recipe(own, None) == own
    assert name_recipe([], 'flips') == []


@pytest.mark.parametrize(('pipeline', 'name'), [([MARK], None), ([dict(type='a')], 'flips')])
def test_recipes__one_without_the_other_is_refused(pipeline, name):
    with pytest.raises(
        ConfigError, match=r'dataset\.augmentation: found .*expected both or neither'
    ):
        name_recipe(pipeline, name)


def test_brightness__multiplies_and_clips():
    found = brighten(np.array([[[10, 100, 200]]], np.uint8), 1.5)
    assert found.tolist() == [[[15, 150, 255]]]


def test_contrast__moves_from_the_mean_gray():
    flat = np.full((4, 4, 3), 90, np.uint8)
    assert np.array_equal(stretch(flat, 0.5), flat)
    two = image()
    gray = cv2.cvtColor(two, cv2.COLOR_BGR2GRAY).mean()
    expected = np.clip(np.rint(1.27 * two.astype(float) - 0.27 * gray), 0, 255)
    assert np.array_equal(stretch(two, 1.27), expected)
    assert np.abs(stretch(two, 0.0).astype(float) - gray).max() <= 0.5


def test_brightness_contrast__draws_within_its_range():
    np.random.seed(3)  # noqa: NPY002
    step = TRANSFORMS.build(
        dict(type='arml.RandomBrightnessContrast', brightness=0.5, contrast=0.0)
    )
    flat = np.full((2, 2, 3), 100, np.uint8)
    values = {int(step.transform(dict(img=flat))['img'][0, 0, 0]) for _ in range(200)}
    assert min(values) >= 50
    assert max(values) <= 150
    assert len(values) > 50
    with pytest.raises(ConfigError, match=r'RandomBrightnessContrast\.contrast=2'):
        TRANSFORMS.build(dict(type='arml.RandomBrightnessContrast', contrast=2))
