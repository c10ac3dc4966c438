"""The configs of OEEM say what the method is."""

import pytest
import torch
from conftest import ROOT
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from arml.config import load_config
from arml.config.choices import choices_in
from arml.config.load import read_config
from arml.config.sections import get_leaf
from arml.methods.oeem import OEEMLoss
from arml.models.necks import ConcatNeck
from arml.pipeline.checks import build_on_meta
from arml.pipeline.run import build_stages

CONFIGS = ROOT / 'configs' / 'oeem'
FULL = [CONFIGS / f'oeem_resnet38_{data}.py' for data in ('bcss', 'luad')]
TINY = [CONFIGS / f'oeem_tiny_{data}.py' for data in ('ebhi', 'synthetic')]
DEVIATIONS = [name for name in choices_in(read_config(FULL[0]))['deviation'] if name != 'none']


def stem(file):
    return file.stem


def models(config):
    return (
        build_on_meta(config.model, 'model'),
        build_on_meta(config.classifier.model, 'classifier.model'),
    )


@pytest.mark.parametrize('file', FULL + TINY, ids=stem)
def test_configs__are_oeem(file):
    config = load_config(file)
    model, classifier = models(config)
    assert isinstance(model.mask_loss, OEEMLoss)
    assert (model.mask_loss.temperature, model.mask_loss.ignored_in_weights) == (1.0, False)
    assert isinstance(classifier.neck, ConcatNeck)
    assert classifier.head.classifier.bias is not None
    assert classifier.head.in_channels == sum(classifier.backbone.channels)
    for maps, rule in (
        (config.pseudo_masks.maps, config.pseudo_masks.rule),
        (config.classifier.model.maps, config.classifier.model.mask_rule),
    ):
        assert (maps.type, maps.relu, rule.normalisation) == ('arml.WeightMaps', False, 'joint')
    # Masks and raw CAM are of the same maps.
    assert config.pseudo_masks.maps == config.classifier.model.maps
    stages = build_stages(config)
    assert [stage.row for stage in stages if stage.name in ('cam_test', 'test')] == [
        'raw CAM',
        'OEEM',
    ]


@pytest.mark.parametrize('file', FULL, ids=stem)
def test_configs__full_size_is_that_of_the_method(file):
    config = load_config(file)
    model, classifier = models(config)
    assert config.classifier.model.maps.scales == (2.0, 1.75, 1.5, 1.25, 1.0)
    assert classifier.head.in_channels == 5632
    network = model.networks[0]
    assert network.backbone.channels == [1024, 4096]
    assert (network.decode_head.in_channels, network.decode_head.channels) == (4096, 512)
    assert network.decode_head.pool_scales == (1, 2, 3, 6)
    assert network.decode_head.dropout.p == network.auxiliary_head.dropout.p == 0.1
    assert network.auxiliary_head.in_channels == 1024
    assert {name: weight for name, (_, weight) in model.heads.items()} == {
        '': 1.0,
        'auxiliary_0.': 0.4,
    }
    with torch.device('meta'):
        features = network.extract_feat(torch.empty(2, 3, 224, 224))
        logits = [head(features) for head, _ in model.heads.values()]
    assert [tuple(one.shape) for one in logits] == [(2, 4, 28, 28)] * 2
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (
        'SGD', 5e-3, 0.9, 5e-4,
    )  # fmt: skip
    assert (config.train_cfg.max_epochs, config.train_dataloader.batch_size) == (10, 20)
    assert config.input_size == (224, 224)
    assert config.classifier.train_cfg.max_epochs == 20
    white = config.pseudo_masks.rule.get('white_area')
    assert white == ({'threshold': 200, 'min_size': 50} if 'luad' in file.stem else None)


def test_configs__the_other_head_can_be_left_out():
    leaf = 'model.network.auxiliary_head'
    assert list(models(load_config(FULL[0], {leaf: None}))[0].heads) == ['']
    weighed = models(load_config(FULL[0], {f'{leaf}.loss_decode.loss_weight': 0.2}))[0]
    assert weighed.heads['auxiliary_0.'][1] == 0.2


@pytest.mark.parametrize('file', TINY, ids=stem)
def test_configs__tiny_shares_template_and_schedule_with_arml(file):
    config = load_config(file)
    arml = load_config(ROOT / 'configs' / file.name.replace('oeem', 'arml'))
    for key in ('network', 'data_preprocessor'):
        assert config.model[key] == arml.model[key]
    for key in (
        'optim_wrapper',
        'param_scheduler',
        'train_cfg',
        'train_dataloader',
        'val_dataloader',
    ):
        assert config[key] == arml[key]
        assert config.classifier[key] == arml.classifier[key]
    assert config.classifier.model.backbone.pop('out_indices') == (1, 2, 3)
    assert arml.classifier.model.backbone.pop('out_indices') == (3,)
    assert config.classifier.model.backbone == arml.classifier.model.backbone
    segmentor = next(stage for stage in config.pipeline if stage.name == 'segmentor')
    assert (
        segmentor.bind == next(stage for stage in arml.pipeline if stage.name == 'segmentor').bind
    )


@pytest.mark.parametrize('name', DEVIATIONS)
def test_deviation__each_changes_what_it_names_and_builds(name):
    plain, changed = load_config(FULL[0]), load_config(FULL[0], {'deviation': name})
    leaves = choices_in(read_config(FULL[0]))['deviation'][name]
    for leaf in leaves:
        assert get_leaf(plain, leaf) != get_leaf(changed, leaf), leaf
    model, classifier = models(changed)
    for network, section in ((model, changed), (classifier, changed.classifier)):
        build_optim_wrapper(network, section.optim_wrapper)
    build_stages(changed)


def test_deviation__schedule_falls_within_twenty_iterations_as_released():
    config = load_config(FULL[0], {'deviation': 'classifier_schedule'}).classifier
    weight = torch.nn.Parameter(torch.zeros(1))
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=config.optim_wrapper.optimizer.lr))
    settings = dict(config.param_scheduler[0])
    schedule = PARAM_SCHEDULERS.build(settings, default_args=dict(optimizer=wrapper))
    found = []
    for _ in range(60):
        found.append(wrapper.param_groups[0]['lr'])
        wrapper.optimizer.step()
        schedule.step()
    released = [0.01 * (1 - min(step, 19) / 20) ** 0.9 for step in range(60)]
    assert found[0] == released[0] == 0.01
    assert found[19:] == pytest.approx(released[19:], rel=1e-3)
    assert found == pytest.approx(released, rel=0.07)


def test_deviation__one_rate_for_all_parameters():
    config = load_config(FULL[0], {'deviation': 'classifier_schedule'}).classifier
    wrapper = build_optim_wrapper(
        build_on_meta(config.model, 'classifier.model'), config.optim_wrapper
    )
    assert {group['lr'] for group in wrapper.param_groups} == {0.01}
