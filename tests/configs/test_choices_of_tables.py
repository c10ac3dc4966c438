"""Named values of the ablation tables: what each sets, and that it can be trained."""

import pytest
from conftest import ROOT
from test_configs import build
from test_released import difference, leaves

from arml.config import load_config
from arml.config.choices import choices_in
from arml.config.load import read_config
from arml.models.losses.srm import RELATIONS
from arml.pipeline.run import build_stages

FULL = [
    f'arml_{net}_{data}' for net in ('resnest101', 'resnet38', 'mit-b3') for data in ('bcss', 'luad')
]  # fmt: skip
TINY = ['arml_tiny_ebhi', 'arml_tiny_synthetic']


def load(name, **choices):
    return load_config(ROOT / 'configs' / f'{name}.py', choices, for_run=True)


def known(name='arml_resnest101_bcss'):
    return choices_in(read_config(ROOT / 'configs' / f'{name}.py'))


@pytest.mark.parametrize('name', [*FULL, *TINY])
def test_choices__every_config_has_those_of_the_tables(name):
    found = known(name)
    assert list(found['omega']) == [
        'default', 'none', 'cross_entropy', '1', '2', '3', '5', 'drop',
    ]  # fmt: skip
    assert list(found['components']) == ['default', 'baseline', 'ars', 'ars_swv', 'ars_srm', 'full']
    assert set(found['relation']) == {'default', 'cross_entropy', *RELATIONS}
    assert {'none', 'wandb', 'tensorboard'} == set(found['tracking'])


@pytest.mark.parametrize('name', [*FULL, *TINY])
def test_choices__default_is_what_the_config_says_without(name):
    usual = load(name).to_dict()
    for choice, values in known(name).items():
        neutral = [value for value, settings in values.items() if settings == {}]
        assert neutral, choice
        for value in neutral:
            assert load(name, **{choice: value}).to_dict() == usual, (choice, value)


@pytest.mark.parametrize(
    ('chosen', 'ars', 'swv', 'srm', 'networks'),
    [
        ({}, True, True, True, 3),
        ({'components': 'baseline'}, False, False, False, 1),
        ({'components': 'ars'}, True, False, False, 1),
        ({'components': 'ars_swv'}, True, True, False, 3),
        ({'components': 'ars_srm'}, True, False, True, 3),
        ({'components': 'full'}, True, True, True, 3),
        ({'omega': 'none'}, True, False, True, 3),
        ({'omega': 'drop'}, True, True, True, 3),
        ({'relation': 'none'}, True, True, False, 3),
        ({'relation': 'kl'}, True, True, True, 3),
        ({'omega': 'cross_entropy'}, True, False, False, 1),
        ({'relation': 'cross_entropy'}, True, False, False, 1),
    ],
)
def test_components__what_is_on(chosen, ars, swv, srm, networks):
    config = load('arml_tiny_synthetic', **chosen)
    model = build(config.model)
    assert config.classifier.model.neck.enabled is ars
    assert (model.swv.enabled, model.srm.active, len(model.networks)) == (swv, srm, networks)


@pytest.mark.parametrize('name', ['arml_resnest101_bcss', 'arml_tiny_synthetic'])
def test_tables__rows_that_are_the_same_run(name):
    ars, ars_swv, ars_srm, full = (
        load(name, components=row).to_dict() for row in ('ars', 'ars_swv', 'ars_srm', 'full')
    )
    assert load(name, omega='cross_entropy').to_dict() == ars
    assert load(name, relation='cross_entropy').to_dict() == ars
    assert load(name, relation='none').to_dict() == ars_swv
    assert load(name, omega='none').to_dict() == ars_srm
    assert load(name, omega=2).to_dict() == full == load(name).to_dict()
    assert load(name, relation='structure').to_dict() == full


@pytest.mark.parametrize(('value', 'omega'), [(1, 1), (2, 2), (3, 3), (5, 5), ('drop', 'drop')])
def test_omega__sets_its_leaf(value, omega):
    config = load('arml_tiny_synthetic', omega=value)
    assert config.model.swv.omega == omega
    assert load('arml_tiny_synthetic', **{'model.swv.omega': omega}).to_dict() == config.to_dict()


@pytest.mark.parametrize('relation', [name for name in RELATIONS if name != 'none'])
def test_relation__sets_its_leaf(relation):
    config = load('arml_tiny_synthetic', relation=relation)
    assert build(config.model).srm.relation == relation


@pytest.mark.parametrize('start', ['imagenet', 'scratch'])
@pytest.mark.parametrize('data', ['bcss', 'luad'])
@pytest.mark.parametrize('net', ['resnest101', 'resnet38', 'mit-b3'])
def test_backbone__is_the_config_of_that_backbone(net, data, start):
    chosen = load(f'arml_resnest101_{data}', backbone=net, start=start)
    assert chosen.to_dict() == load(f'arml_{net}_{data}', start=start).to_dict()


def test_backbone__leaves_of_the_new_one_can_be_set():
    config = load(
        'arml_resnest101_bcss', backbone='resnet38', **{'model.network.backbone.frozen_stages': 1}
    )
    assert config.model.network.backbone.frozen_stages == 1
    assert config.model.network.backbone.type == 'arml.ResNet38d'


def test_deviations__cover_every_leaf_of_the_released_code():
    paper = leaves(load('arml_resnest101_bcss').to_dict())
    apart = {leaf: released for leaf, (_, released) in difference('bcss').items()}
    sets = {
        name: {
            leaf: value
            for leaf, value in leaves(load('arml_resnest101_bcss', deviation=name).to_dict()).items()
            if paper.get(leaf) != value
        }
        for name in known()['deviation']
    }  # fmt: skip
    assert sets.pop('none') == {}
    own = {'model.num_networks', 'model.swv.enabled', 'model.srm.enabled', 'model.lambda_'}
    assert set(sets.pop('cross_entropy')) == own
    assert {leaf for found in sets.values() for leaf in found} - own == set(apart) - own
    for name, found in sets.items():
        if name != 'cross_entropy_divided':
            assert found.items() <= apart.items(), name
    assert len(sets) == len(apart) == 27


@pytest.mark.parametrize(
    'name',
    ['channel_gate_frozen', 'gate_norm_fixed', 'background_in_relation', 'cross_entropy_divided'],
)
def test_deviations__of_several_leaves_build(name):
    """Each leaf by itself is built in ``test_released.py``."""
    config = load('arml_resnest101_bcss', deviation=name)
    build(config.model)
    build(config.classifier.model)
    build_stages(config)
