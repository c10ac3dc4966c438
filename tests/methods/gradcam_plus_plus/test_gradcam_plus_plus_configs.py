"""The configs of CAM and Grad-CAM++: one classifier without ARS, two kinds of map, the common stage 2."""

import pytest
from conftest import ROOT

from arml.config import load_config
from arml.pipeline.run import build_stages
from arml.registry import MAPS, MASK_RULES

NAMES = {'cam': 'CAM', 'gradcam_plus_plus': 'Grad-CAM++'}
KINDS = {'cam': 'arml.WeightMaps', 'gradcam_plus_plus': 'arml.GradCAMPlusPlusMaps'}
SETS = ['resnet38_bcss', 'resnet38_luad', 'tiny_ebhi', 'tiny_synthetic']
#: The config whose classifier, data and stage 2 they share.
ARML = {name: f'arml_{name.replace("resnet38", "resnest101")}' for name in SETS}


def load(method, data, **overrides):
    file = ROOT / 'configs' / method / f'{method}_{data}.py'
    return load_config(file, overrides, for_run=True)


@pytest.mark.parametrize('data', SETS)
@pytest.mark.parametrize('method', NAMES)
def test_configs__rows(method, data):
    rows = [(stage.name, stage.row) for stage in build_stages(load(method, data)) if stage.row]
    title = NAMES[method]
    assert [row for row in rows if row[0] in ('cam_test', 'test')] == [
        ('cam_test', 'raw CAM'),
        ('test', title),
    ]


@pytest.mark.parametrize('data', SETS)
@pytest.mark.parametrize('method', NAMES)
def test_configs__masks_and_raw_masks_on_test_are_of_the_same_maps(method, data):
    config = load(method, data)
    model = config.classifier.model
    assert config.pseudo_masks.maps.type == model.maps.type == KINDS[method]
    ours, on_test = (MAPS.build(dict(maps)) for maps in (config.pseudo_masks.maps, model.maps))
    assert vars(ours) == vars(on_test)
    assert ours.relu
    assert len(ours.orientations) == (8 if 'tiny' in data else 1)
    scaled = 'joint' if method == 'cam' and 'tiny' not in data else 'per_class'
    rules = [MASK_RULES.build(dict(rule)) for rule in (config.pseudo_masks.rule, model.mask_rule)]
    assert [rule.normalisation for rule in rules] == [scaled] * 2
    assert [rule.needs_image for rule in rules] == ['luad' in data, False]


@pytest.mark.parametrize('data', SETS)
def test_configs__cam_is_the_baseline_of_arml(data):
    """Of Table 2, so classifier and masks are found in the store; both segmentors train one network alike."""
    cam = load('cam', data)
    baseline = load_config(
        ROOT / 'configs' / f'{ARML[data]}.py', {'components': 'baseline'}, for_run=True
    )
    assert cam.model.network == baseline.model.network
    assert cam.model.data_preprocessor == baseline.model.data_preprocessor
    for part in ('classifier', 'pseudo_masks', 'train_dataloader', 'optim_wrapper'):
        assert cam[part] == baseline[part], part
    assert cam.default_hooks == baseline.default_hooks
    assert not cam.classifier.model.neck.enabled
    model = baseline.model
    assert (model.num_networks, model.swv.enabled, model.srm.enabled) == (1, False, False)
    assert cam.model.type == 'arml.SingleNetworkSegmentor'


@pytest.mark.parametrize('data', SETS)
def test_configs__grad_cam_plus_plus_is_cam_with_other_maps(data):
    """Whether it has a config of its own or is asked for by name."""
    ours = load('gradcam_plus_plus', data)
    assert load('cam', data, maps='gradcam_plus_plus').to_dict() == ours.to_dict()
    cam = load('cam', data)
    for config in (ours, cam):
        for section in (config.pseudo_masks, config.classifier.model):
            section.pop('maps')
        config.pseudo_masks.rule.pop('normalisation')
        config.classifier.model.mask_rule.pop('normalisation')
        config.pop('title')
        for stage in config.pipeline:
            stage.pop('row', None)
    assert ours.to_dict() == cam.to_dict()


@pytest.mark.parametrize(
    'leaf', ['pseudo_masks.rule.normalisation', 'classifier.model.mask_rule.normalisation']
)
def test_configs__scaling_stays_a_leaf(leaf):
    config = load('gradcam_plus_plus', 'tiny_ebhi', **{leaf: 'joint'})
    for step in leaf.split('.'):
        config = config[step]
    assert config == 'joint'


def test_configs__epsilon_and_layers_are_leaves():
    config = load('gradcam_plus_plus', 'resnet38_bcss', **{
        'pseudo_masks.maps.epsilon': 0, 'pseudo_masks.maps.layers': ['b5_2', 'bn7'],
    })  # fmt: skip
    maps = MAPS.build(dict(config.pseudo_masks.maps))
    assert (maps.epsilon, maps.names) == (0, ('b5_2', 'final'))
