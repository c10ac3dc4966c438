"""A part of one model that takes its config from another section."""

import pytest
from mmengine.config import Config

from arml.config.lending import lend_models, take_back
from arml.errors import ConfigError


def config(**gate):
    return Config(
        dict(
            model=dict(gate={'model_of': 'classifier', 'model': None, **gate}),
            classifier=dict(model=dict(type='A', width=2)),
        )
    )


def test_lending__fills_in_a_copy_once_and_again():
    one = config()
    for _ in range(2):
        lend_models(one)
        assert one.model.gate.model == dict(type='A', width=2)
    one.model.gate.model.width = 3
    assert one.classifier.model.width == 2


def test_lending__taken_back_it_follows_the_section():
    one = config()
    lend_models(one)
    take_back(one)
    assert one.model.gate.model is None
    one.classifier.model.width = 5
    lend_models(one)
    assert one.model.gate.model.width == 5


def test_lending__without_the_section_what_there_is_stays():
    one = config()
    lend_models(one)
    one.pop('classifier')
    lend_models(one)
    take_back(one)
    assert one.model.gate.model == dict(type='A', width=2)


def test_lending__a_part_of_its_own_is_left_alone():
    one = config(model_of=None, model=dict(type='B'))
    lend_models(one)
    take_back(one)
    assert one.model.gate.model == dict(type='B')


def test_lending__raises():
    with pytest.raises(
        ConfigError, match=r"model\.gate\.model_of: found 'other', expected a section"
    ):
        lend_models(config(model_of='other'))
    with pytest.raises(
        ConfigError, match=r'model\.gate\.model: found other settings than classifier'
    ):
        lend_models(config(model=dict(type='B')))
