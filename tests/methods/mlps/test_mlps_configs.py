"""The shipped configs of MLPS: published numbers, one protocol for the tiny ones, released switches."""

import pytest
import torch
from conftest import ROOT

from arml.config import load_config
from arml.config.overrides import leaves
from arml.errors import ConfigError
from arml.pipeline.checks import build_on_meta, check_optimisation
from arml.pipeline.run import build_stages
from arml.registry import MAPS

FOLDER = ROOT / 'configs' / 'mlps'
FULL = ['mlps_resnet101_bcss', 'mlps_resnet101_luad']
TINY = ['mlps_tiny_ebhi', 'mlps_tiny_synthetic']
#: The leaf of each line of docs/methods/mlps.md that has one, and the released value.
RELEASED = {
    'classifier.model.attention.floor': 0.98**22,
    'classifier.model.data_preprocessor.normalise': 'unit',
    'classifier.optim_wrapper.optimizer.momentum': 5e-4,
    'model.background.logit': 'zero',
    'model.mask_loss.extra_batch_division': True,
    'model.gate.mode': 'zero',
    'model.data_preprocessor.normalise': 'unit',
    'train_cfg.max_epochs': 30,
    'train_dataloader.dataset.augmentation': 'released_segmentor',
    'train_dataloader.drop_last': False,
}


def load(name, **overrides):
    return load_config(FOLDER / f'{name}.py', overrides, for_run=True)


@pytest.mark.parametrize('name', FULL + TINY)
def test_configs__build(name):
    config = load(name)
    classifier = build_on_meta(config.classifier.model.to_dict(), 'classifier.model')
    model = build_on_meta(config.model.to_dict(), 'model')
    MAPS.build(config.pseudo_masks.maps.to_dict()).check(classifier)
    trained = sum(parameter.numel() for parameter in model.parameters())
    if name in FULL:
        # The network of the released code for 21 classes has 59,344,309.
        assert trained == 59_344_309 - 17 * 257
    gate = {n for n in model.state_dict() if n.startswith('gate.')}
    assert {n.removeprefix('gate.') for n in gate} == set(classifier.state_dict())
    check_optimisation(model, config.optim_wrapper.to_dict(), list(config.param_scheduler), 10, '')
    stages = {stage.name: stage for stage in build_stages(config)}
    assert len(stages['segmentor'].bind) == (4 if name in FULL else 5)
    assert (stages['cam_test'].row, stages['test'].row) == ('raw CAM', 'MLPS')
    made = stages['pseudo_masks'].items()
    for source in [*stages['segmentor'].bind.values(), *stages['mask_scores'].inputs.values()]:
        stage, _, item = source.partition('/')
        assert stage == 'classifier' or item in made


@pytest.mark.parametrize('name', FULL)
def test_configs__published_numbers(name):
    config = load(name)
    attention = config.classifier.model.attention
    assert (attention.mu_start, attention.decay, attention.floor) == (1.0, 0.98, 0.65)
    assert attention.start_epoch == 3
    assert config.classifier.model.neck is None
    assert config.classifier.optim_wrapper.paramwise_cfg.lr_mult == dict(backbone=1.0, head=10.0)
    assert config.classifier.train_cfg.max_epochs == 20
    assert config.pseudo_masks.maps.layers == ['b4_5', 'b5_2', 'bn7']
    assert config.model.mask_weights == dict(deep=0.6, middle=0.2, shallow=0.2)
    assert config.model.gate.threshold == 0.1
    assert config.train_dataloader.batch_size == 20
    white = {'threshold': 200, 'min_size': 50} if name.endswith('luad') else None
    assert config.pseudo_masks.rule.get('white_area') == white


def test_configs__backbone_is_that_of_the_released_code():
    """The plain stem, output stride 16, dilations 2, 4, 8 at the end."""
    config = load(FULL[0])
    backbone = build_on_meta(config.model.to_dict(), 'model').networks[0].backbone
    assert backbone.conv1.kernel_size == (7, 7)
    assert [block.conv2.dilation[0] for block in backbone.layer4] == [2, 4, 8]
    assert [block.conv2.dilation[0] for block in backbone.layer3] == [1] * 23
    sizes = [out.shape[1:] for out in backbone(torch.empty(1, 3, 224, 224, device='meta'))]
    assert (sizes[0], sizes[3]) == ((256, 56, 56), (2048, 14, 14))

    import torchvision

    from arml.models.weights import check_fit

    with torch.device('meta'):  # the weights that it starts from are in these names
        check_fit(backbone, torchvision.models.resnet101().state_dict(), 'torchvision://resnet101')


def test_configs__common_schedule_is_that_of_arml():
    config, arml = load(FULL[0]), load_config(ROOT / 'configs' / 'arml_resnest101_bcss.py')
    for name in ('optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert config[name] == arml[name]
    assert load(FULL[0], schedule='common').to_dict() == config.to_dict()


def test_configs__published_schedule_the_head_learns_ten_times_as_fast():
    from mmengine.optim import build_optim_wrapper

    config = load(FULL[0], schedule='published')
    assert (config.train_cfg.max_epochs, config.param_scheduler[0].end) == (20, 20)
    longer = load(FULL[0], schedule='published', **{'train_cfg.max_epochs': 30})
    assert (longer.train_cfg.max_epochs, longer.param_scheduler[0].end) == (30, 30)
    assert (longer.optim_wrapper, longer.model) == (config.optim_wrapper, config.model)
    model = build_on_meta(config.model.to_dict(), 'model')
    wrapper = build_optim_wrapper(model, config.optim_wrapper.to_dict())
    rates = {
        id(p): group['lr'] for group in wrapper.optimizer.param_groups for p in group['params']
    }
    for parameter_name, parameter in model.named_parameters():
        head = 'decode_head' in parameter_name
        assert rates[id(parameter)] == pytest.approx(0.1 if head else 0.01), parameter_name
    assert len(rates) == len(list(model.parameters()))


@pytest.mark.parametrize('leaf', sorted(RELEASED))
def test_configs__released_switches_are_leaves(leaf):
    config = load(FULL[0], **{leaf: RELEASED[leaf]})
    node, plain = config._cfg_dict, load(FULL[0])._cfg_dict
    for step in leaf.split('.'):
        node, plain = node[step], plain[step]
    assert node == RELEASED[leaf] != plain
    build_on_meta(config.model.to_dict(), 'model')
    build_on_meta(config.classifier.model.to_dict(), 'classifier.model')


@pytest.mark.parametrize('data', ['ebhi', 'synthetic'])
def test_configs__tiny_ones_share_the_protocol_of_arml(data):
    ours = load(f'mlps_tiny_{data}')
    arml = load_config(ROOT / 'configs' / f'arml_tiny_{data}.py', for_run=True)
    assert ours.model.network == arml.model.network
    for name in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'val_dataloader',
                 'test_dataloader', 'test_evaluator', 'input_size'):  # fmt: skip
        assert ours[name] == arml[name], name
        assert ours.classifier.get(name) == arml.classifier.get(name), name
    assert ours.classifier.model.backbone == arml.classifier.model.backbone
    assert ours.classifier.model.head == arml.classifier.model.head
    assert ours.classifier.train_dataloader == arml.classifier.train_dataloader
    own, other = (c.train_dataloader.to_dict() for c in (ours, arml))
    steps, common = own['dataset'].pop('pipeline'), other['dataset'].pop('pipeline')
    assert own == other
    assert [step for step in steps if step['type'] != 'arml.LoadFurtherMasks'] == common
    assert steps[2]['type'] == 'arml.LoadFurtherMasks'
    assert ours.pseudo_masks.rule == arml.pseudo_masks.rule


def test_configs__the_gate_follows_every_override_of_the_classifier():
    config = load(TINY[1], **{'classifier.model.backbone.model_args.channels': (8, 8, 8, 8),
                              'classifier.model.head.in_channels': 8})  # fmt: skip
    assert config.model.gate.model == config.classifier.model
    config = load(FULL[0], **{'start': 'scratch'})
    assert config.model.gate.model.backbone.init_cfg is None
    with pytest.raises(ConfigError, match=r'model\.gate\.model'):
        load(TINY[1], **{'model.gate.model.head.dropout': 0.5})


def test_configs__a_dumped_config_can_be_overridden_again(tmp_path):
    (tmp_path / 'config.py').write_text(load(TINY[1]).pretty_text)
    again = load_config(tmp_path / 'config.py', {'classifier.model.head.dropout': 0.25})
    assert again.model.gate.model.head.dropout == 0.25
    assert 'model.gate.model.head.dropout' in set(leaves(again._cfg_dict))


def test_configs__without_a_gate_its_checkpoint_is_not_asked_for():
    stages = {stage.name: stage for stage in build_stages(load(TINY[1], **{'model.gate': None}))}
    assert 'model.gate.checkpoint' not in stages['segmentor'].bind
    model = build_on_meta(load(TINY[1], **{'model.gate.enabled': False}).model.to_dict(), 'model')
    assert model.gate is None
