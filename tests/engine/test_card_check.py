"""A checkpoint is refused under a config of other classes or another normalisation."""

import pytest

from arml.engine.card_check import card_in, check_card
from arml.errors import CheckpointError

CLASSES = ['Tumor', 'Stroma']
DATASET = {'normalise': 'dataset', 'mean': [1, 2, 3.0], 'std': [4, 5, 6], 'bgr_to_rgb': True}
CARD = {'classes': CLASSES, **DATASET}


def test_check_card__agrees():
    check_card(CARD, tuple(CLASSES), {**DATASET, 'mean': (1.0, 2, 3)}, 'a.pth')
    check_card(CARD, CLASSES, {k: v for k, v in DATASET.items() if k != 'normalise'}, 'a.pth')


@pytest.mark.parametrize('card', [{}, {'classes': None}, {'classes': CLASSES, 'mean': None}])
def test_check_card__what_a_card_does_not_say_is_not_compared(card):
    check_card(card, CLASSES, DATASET, 'a.pth')


def test_check_card__mean_and_std_are_not_read_by_tile():
    card = {**CARD, 'normalise': 'tile', 'mean': [1, 2, 3], 'std': None}
    check_card(card, CLASSES, {'normalise': 'tile', 'mean': [9, 9, 9], 'bgr_to_rgb': True}, 'a.pth')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'classes': CLASSES[::-1]}, r"a\.pth: its classes is \['Stroma', 'Tumor'\], that of the config \['Tumor'"),
        ({'classes': ['Tumor']}, r"classes is \['Tumor'\], that"),
        ({'normalise': 'unit'}, "normalise is 'unit', that of the config 'dataset'"),
        ({'mean': [1, 2, 4]}, r'mean is \[1.0, 2.0, 4.0\], that of the config \[1.0, 2.0, 3.0\]'),
        ({'std': [1, 2, 4]}, 'std is'),
        ({'bgr_to_rgb': False}, 'bgr_to_rgb is False, that of the config True'),
    ],
)  # fmt: skip
def test_check_card__raises(change, message):
    with pytest.raises(CheckpointError, match=message):
        check_card({**CARD, **change}, CLASSES, DATASET, 'a.pth')


def test_check_card__a_config_that_does_not_normalise():
    with pytest.raises(CheckpointError, match=r'mean is .* that of the config None'):
        check_card({**CARD, 'bgr_to_rgb': None}, CLASSES, None, 'a.pth')


@pytest.mark.parametrize('content', [{}, {'meta': 'text'}, {'meta': None}, {'meta': {'arml': 3}}])
def test_card_in__of_a_stranger(content):
    assert card_in(content) == {}


def test_card_in():
    assert card_in({'meta': {'arml': {'classes': CLASSES}}}) == {'classes': CLASSES}
