"""Sections of a config as configs of Runners."""

import pytest
from conftest import ROOT

from arml.config import load_config, runner_config
from arml.config.sections import get_leaf, name_apart, section_of, set_leaf
from arml.errors import ConfigError

TINY = ROOT / 'configs' / 'arml_tiny_synthetic.py'


@pytest.fixture(scope='module')
def config():
    return load_config(TINY)


def test_sections__top_level_is_the_segmentor(config):
    assert section_of(config, None)['model']['type'] == 'arml.MutualLearningSegmentor'
    assert section_of(config, 'classifier')['model']['type'] == 'arml.MultiLabelClassifier'


def test_sections__absent_or_without_model(config):
    with pytest.raises(ConfigError, match="no section 'teacher'"):
        section_of(config, 'teacher')
    with pytest.raises(ConfigError, match='no model under pseudo_masks'):
        section_of(config, 'pseudo_masks')
    with pytest.raises(ConfigError, match='no model at the top level'):
        section_of(type(config)({'a': 1}), None)


def test_sections__hooks_of_a_section_are_laid_over_the_shared_ones(config):
    ours, top = runner_config(config, 'classifier'), runner_config(config, None)
    assert ours['default_hooks']['checkpoint']['save_best'] is None
    assert ours['default_hooks']['checkpoint']['type'] == 'arml.StageCheckpointHook'
    assert top['default_hooks']['checkpoint']['save_best'] == 'mIoU'
    assert ours['default_hooks']['logger'] == top['default_hooks']['logger']
    assert ours['custom_hooks'] == top['custom_hooks']
    assert ours['randomness'] == {'seed': 0}


def test_sections__own_hooks_are_added():
    config = load_config(TINY)
    config.classifier.custom_hooks = [{'type': 'EmptyCacheHook'}]
    hooks = [hook['type'] for hook in runner_config(config, 'classifier')['custom_hooks']]
    assert hooks == ['arml.EpochSeedHook', 'arml.HistoryHook', 'EmptyCacheHook']
    assert len(runner_config(config, None)['custom_hooks']) == 2


def test_sections__a_copy_not_a_view(config):
    runner_config(config, 'classifier')['model']['presence_threshold'] = 0.9
    runner_config(config, 'classifier')['default_hooks']['logger']['interval'] = 1
    assert config.classifier.model.presence_threshold == 0.25
    assert config.default_hooks.logger.interval == 50


def test_sections__leaves_by_path():
    settings = {'a': {'b': [{'c': 1}]}}
    set_leaf(settings, 'a.b.0.c', 2)
    assert get_leaf(settings, 'a.b.0.c') == 2
    with pytest.raises(ConfigError, match=r"x\.y: the config has no 'x' to bind"):
        set_leaf(settings, 'x.y', 1)
    with pytest.raises(ConfigError, match='to bind an input to'):
        set_leaf(settings, 'a.b.5.c', 1)


def test_sections__visualizer_gets_the_name_of_the_run():
    settings = {'visualizer': {'type': 'V', 'name': 'old'}, 'experiment_name': 'run-test'}
    shared = settings['visualizer']
    name_apart(settings)
    assert settings['visualizer'] == {'type': 'V', 'name': 'run-test'}
    assert shared['name'] == 'old'
