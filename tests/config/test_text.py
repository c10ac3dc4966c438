"""Configs as text: what is read again is the same, and a Runner's text is not laid out."""

import pytest
from mmengine.config import Config
from shipped import CONFIGS, names

from arml.config import load_config
from arml.config.text import WIDTH, config_text, unformatted


@pytest.mark.parametrize('path', CONFIGS, ids=names(CONFIGS))
def test_config_text__gives_the_same_config(path):
    config = load_config(path)
    text = config_text(config)
    again = Config.fromstring(text, '.py')
    assert again.to_dict() == config.to_dict()
    assert list(again) == list(config)
    assert config_text(again) == text


def test_config_text__looks_like_a_config_file():
    config = Config({
        'short': {'type': 'A', 'sizes': (1, 2)}, 'one': (3,), 'nothing': {}, 'keys': {'a.b': None, 'class': 1},
        'long': [{'type': 'LongEnoughToNeedALine', 'scale': 0.5, 'values': ['it', "isn't"]}] * 2,
    })  # fmt: skip
    text = config_text(config)
    assert text.splitlines() == [
        "short = dict(type='A', sizes=(1, 2))",
        'one = (3,)',
        'nothing = dict()',
        "keys = {'a.b': None, 'class': 1}",
        'long = [',
        """    dict(type='LongEnoughToNeedALine', scale=0.5, values=['it', "isn't"]),""",
        """    dict(type='LongEnoughToNeedALine', scale=0.5, values=['it', "isn't"]),""",
        ']',
    ]
    assert all(len(line) <= WIDTH for line in text.splitlines())


def test_unformatted__text_is_that_of_the_settings():
    settings = {'model': {'type': 'A', 'values': list(range(60))}, 'seed': 1}
    config = unformatted(settings)
    assert Config.fromstring(config.pretty_text, '.py').to_dict() == settings
    assert config.pretty_text != Config(settings).pretty_text  # which is laid out
    assert unformatted(Config(settings)).pretty_text == config.pretty_text
