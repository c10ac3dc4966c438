"""One leaf that stands for several."""

import pytest
from conftest import ROOT
from mmengine.config import Config

from arml.config import load_config
from arml.config.choices import take_choices
from arml.errors import ConfigError
from arml.pipeline.run import build_stages
from arml.registry import MODELS

TINY = ROOT / 'configs' / 'arml_tiny_synthetic.py'
DEVIATIONS = Config.fromfile(ROOT / 'configs/_base_/choices/deviations_tiny.py').choices.deviation


def settings(**more):
    known = {'none': {}, 'no_angle': {'model.srm.beta': 0}}
    return Config({'choices': {'deviation': known}, 'deviation': 'none', 'x': 1, **more})


def test_choices__become_overrides():
    config = settings()
    assert take_choices(config, {'deviation': 'no_angle', 'x': 2}) == {'model.srm.beta': 0, 'x': 2}
    assert config.to_dict() == {'x': 1}
    assert take_choices(settings(), {}) == {}
    assert take_choices(settings(), {'deviation': 'no_angle', 'model.srm.beta': 5}) == {
        'model.srm.beta': 5
    }
    assert take_choices(Config({'x': 1}), {'x': 2}) == {'x': 2}


def test_choices__errors():
    with pytest.raises(ConfigError, match=r"deviation: found 'no_angl'.*Did you mean no_angle\?"):
        take_choices(settings(), {'deviation': 'no_angl'})
    config = settings()
    config.pop('deviation')
    with pytest.raises(ConfigError, match="choices has 'deviation', but there is no top-level key"):
        take_choices(config, {})
    with pytest.raises(ConfigError, match=r'deviation: found False, expected.*YAML reads on, off'):
        take_choices(settings(), {'deviation': False})


@pytest.mark.parametrize(
    ('leaf', 'setting'), [('model.srm.beta', 60), ('model.srm', None), ('model.srm.beta.x', 1)]
)
def test_choices__two_that_set_one_leaf(leaf, setting):
    two = settings(components='all')
    two.choices['components'] = {'all': {leaf: setting, 'model.srm.betas': 1}}
    with pytest.raises(
        ConfigError,
        match=rf'{leaf}: deviation=no_angle sets model\.srm\.beta to 0, components=all sets {leaf} to',
    ):
        take_choices(two, {'deviation': 'no_angle'})
    two = settings(components='all')
    two.choices['components'] = {'all': {'model.srm.beta': 0}}
    assert take_choices(two, {'deviation': 'no_angle'}) == {'model.srm.beta': 0}


def test_choices__named_by_numbers():
    """``--cfg-options omega=3`` gives a number, the file may have either."""
    for three in (3, '3'):
        config = Config({'choices': {'omega': {three: {'a': 3}, 'drop': {}}}, 'omega': 'drop'})
        assert take_choices(config, {'omega': 3}) == {'a': 3}


def test_choices__are_spelt_out_in_the_resolved_config(tmp_path):
    config = load_config(TINY, {'deviation': 'weights_1_and_0.1'})
    assert (config.model.mask_weight, config.model.lambda_) == (1.0, 0.1)
    assert 'choices' not in config
    assert 'deviation' not in config
    (tmp_path / 'config.py').write_text(config.pretty_text)
    assert load_config(tmp_path / 'config.py').to_dict() == config.to_dict()


@pytest.mark.parametrize('name', DEVIATIONS)
def test_deviations__build_and_differ(name):
    usual, config = load_config(TINY), load_config(TINY, {'deviation': name}, for_run=True)
    assert (config.to_dict() == usual.to_dict()) is (name == 'none')
    stages = build_stages(config)
    assert [stage.name for stage in stages][:3] == ['classifier', 'pseudo_masks', 'segmentor']
    if name != 'none':
        MODELS.build(config.model)
        MODELS.build(config.classifier.model)


def test_choices__an_override_of_what_a_choice_switches_off():
    known = {'none': {}, 'scratch': {'model.init_cfg': None}}
    given = {'choices': {'start': known}, 'start': 'none'}
    below = {'start': 'scratch', 'model.init_cfg.checkpoint': 'x'}
    with pytest.raises(ConfigError, match=r'model\.init_cfg\.checkpoint: start=scratch sets model'):
        take_choices(Config(given), below)
    own = {'start': 'scratch', 'model.init_cfg': {'type': 'Normal'}}
    assert take_choices(Config(given), own) == {'model.init_cfg': {'type': 'Normal'}}
