"""One leaf that stands for several."""

import copy

import pytest
from conftest import ROOT
from mmengine.config import Config

from arml.config import load_config
from arml.config.choices import choices_in, take_choices
from arml.config.load import read_config, resolve_config
from arml.errors import ConfigError
from arml.pipeline.run import build_stages
from arml.registry import MODELS

TINY = ROOT / 'configs' / 'arml_tiny_synthetic.py'
DEVIATIONS = choices_in(read_config(TINY))['deviation']


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


def test_choices__each_under_a_key_of_its_own():
    """mmengine refuses two base files that set one key."""
    one = {'alpha_choices': {1: {'a': 1}, 'x': {}}, 'beta_choices': {'y': {'b': 2}}}
    config = Config({**one, 'choices': {'alpha': {'z': {}}}, 'alpha': 'x', 'beta': 'y', 'c': 3})
    assert choices_in(config) == {
        'alpha': {'z': {}, '1': {'a': 1}, 'x': {}},
        'beta': {'y': {'b': 2}},
    }
    assert take_choices(config, {'alpha': 1}) == {'a': 1, 'b': 2}
    assert config.to_dict() == {'c': 3}


def test_choices__that_hang_on_another():
    def taken(**overrides):
        start = {'none': {}, 'scratch': {'init': None, 'net': {'big': {'frozen': 0}}}}
        given = {'start_choices': start, 'start': 'none', 'net': 'small'}
        return take_choices(
            Config({**given, 'net_choices': {'small': {}, 'big': {'d': 5}}}), overrides
        )

    assert taken() == {}
    assert taken(start='scratch') == {'init': None}
    assert taken(start='scratch', net='big') == {'init': None, 'frozen': 0, 'd': 5}
    assert taken(net='big') == {'d': 5}


def test_choices__a_leaf_in_what_another_replaces():
    new = {'_delete_': True, 'type': 'arml.TimmBackbone', 'model_name': 'resnet34'}
    config = read_config(TINY)
    config['start_choices'] = {'usual': {}, 'scratch': {'model.network.backbone.pretrained': False}}
    config['net_choices'] = {'usual': {}, 'other': {'model.network.backbone': new}}
    config['start'] = config['net'] = 'usual'
    # The leaf comes first in the file, and is applied last.
    taken = take_choices(copy.deepcopy(config), {'start': 'scratch', 'net': 'other'})
    assert list(taken) == ['model.network.backbone', 'model.network.backbone.pretrained']
    given = {'start': 'scratch', 'net': 'other', 'model.network.backbone.output_stride': 16}
    resolved = resolve_config(config, given)
    assert resolved.model.network.backbone.to_dict() == {
        'type': 'arml.TimmBackbone', 'model_name': 'resnet34', 'pretrained': False, 'output_stride': 16,
    }  # fmt: skip
