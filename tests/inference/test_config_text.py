"""The config inside a checkpoint is data."""

import pytest
from mmengine.config import Config
from mmseg.utils import register_all_modules
from shipped import CONFIGS, names

from arml.config import load_config
from arml.config.text import config_text
from arml.errors import CheckpointError
from arml.inference.config_text import model_settings, parse_config

register_all_modules(init_default_scope=False)


def test_parse_config__reads_what_mmengine_writes():
    settings = {
        'model': {
            'type': 'FCNHead',
            'scale': -1.5,
            'sizes': (1, 2),
            'names': ['a', 'b'],
            'x': None,
        },
        'odd': {'key with blanks': True, 'other.key': 'it\'s "quoted"\n'},
        'empty': {},
        'long': list(range(80)),
    }
    text = Config(settings).pretty_text
    expected = Config.fromstring(text, '.py').to_dict()
    assert parse_config(text) == expected
    assert parse_config(text)['model'] == settings['model']


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = print(1)',
        'a = dict(**b)',
        'a = dict(b)',
        'a = dict({**b})',
        'a = {**b}',
        'a = [x for x in y]',
        'a.b = 1',
        'a = b = 1',
        '__import__("os").abort()',
        'a = f"{1}"',
        'a = dict(x=open("file"))',
        'a = -b',
    ],
)
def test_parse_config__raises_instead_of_executing(text):
    with pytest.raises(CheckpointError, match='nothing in a checkpoint is executed'):
        parse_config(text)


def test_parse_config__raises_on_what_is_no_config():
    with pytest.raises(CheckpointError, match='cannot be read'):
        parse_config('model = dict(')


def test_model_settings__of_the_section_and_without_initial_weights():
    text = (
        "model = dict(type='mmseg.FCNHead', init_cfg=dict(type='Pretrained', checkpoint='x'))\n"
        "classifier = dict(model=dict(type='arml.MultiLabelClassifier', parts=[dict(type='BN')]))\n"
    )
    assert model_settings({'config': text, 'section': None}) == {'type': 'mmseg.FCNHead'}
    found = model_settings({'config': text, 'section': 'classifier'})
    assert found == {'type': 'arml.MultiLabelClassifier', 'parts': [{'type': 'BN'}]}


@pytest.mark.parametrize('kind', ['os.system', 'mmengine.load', 'subprocess.run', 'NoSuchHead', 3])
def test_model_settings__builds_only_parts_of_models(kind):
    text = f"model = dict(type='EncoderDecoder', head=[dict(type={kind!r}, command='x')])"
    with pytest.raises(CheckpointError, match=f'type {kind!r}, which is not registered'):
        model_settings({'config': text})


def test_model_settings__raises():
    with pytest.raises(CheckpointError, match='carries no config'):
        model_settings({})
    with pytest.raises(CheckpointError, match='no model at the top level'):
        model_settings({'config': 'a = 1'})
    with pytest.raises(CheckpointError, match="no model under 'classifier'"):
        model_settings({'config': 'a = 1', 'section': 'classifier'})


def without_initial_weights(value):
    if isinstance(value, dict):
        return {k: without_initial_weights(v) for k, v in value.items() if k != 'init_cfg'}
    if isinstance(value, list | tuple):
        return type(value)(without_initial_weights(item) for item in value)
    return value


@pytest.mark.parametrize('path', CONFIGS, ids=names(CONFIGS))
def test_model_settings__of_every_config_as_a_checkpoint_carries_it(path):
    config = load_config(path)
    text = config_text(config)
    parts = {None: config, 'classifier': config.get('classifier')}
    for section, part in parts.items():
        if not part or 'model' not in part:
            continue
        found = model_settings({'config': text, 'section': section})
        assert found == without_initial_weights(part.model.to_dict())
