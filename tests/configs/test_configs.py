"""Every config that is shipped: loads, builds its models and its stages, and its public paths work."""

import functools

import pytest
import torch
from conftest import ROOT
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from shipped import CONFIGS, names

from arml.config import load_config
from arml.config.load import datasets_in
from arml.datasets.transforms.recipes import name_recipe
from arml.pipeline.run import build_stages
from arml.registry import DATASETS, MAPS, MASK_RULES, METRICS, MODELS, TRANSFORMS

EXPECTED = {
    *(f'arml_{net}_{data}' for net in ('resnest101', 'resnet38', 'mit-b3') for data in ('bcss', 'luad')),
    'arml_tiny_synthetic',
    'arml_tiny_ebhi',
}  # fmt: skip
#: Training tiles of each set, docs/data.md.
TILES = {'bcss': 23422, 'luad': 16678, 'ebhi': 257, 'synthetic': 240}
PUBLIC = {
    'model.swv.omega': 3,
    'model.srm.alpha': 7.0,
    'model.srm.beta': 8.0,
    'model.lambda_': 0.5,
    'classifier.model.neck.enabled': False,
    'randomness.seed': 11,
}


def sections(config):
    return [config, *(v for v in config.values() if isinstance(v, dict) and 'model' in v)]


def models(config):
    return [part['model'] for part in sections(config) if part.get('model')]


def build(model):
    """Build without memory for the weights."""
    with pytest.MonkeyPatch.context() as patch, torch.device('meta'):
        # SegFormer's backbone reads its drop rates back from a tensor.
        patch.setattr(torch, 'linspace', functools.partial(torch.linspace, device='cpu'))
        return MODELS.build(model)


FULL = [file for file in CONFIGS if file.stem in EXPECTED]
#: mmengine takes seconds to lay out a config, so those of one data set stand for those of the other.
LAID_OUT = [file for file in CONFIGS if file.stem.endswith(('_bcss', '_ebhi'))]


def test_configs__all_promised_files_are_there():
    assert {file.stem for file in CONFIGS} >= EXPECTED


@pytest.mark.parametrize('file', CONFIGS, ids=names(CONFIGS))
def test_configs__load_and_build_everything(file, monkeypatch):
    from mmengine.runner.checkpoint import CheckpointLoader

    def refuse(*_, **__):
        raise AssertionError('building a model must not read weights')

    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', refuse)
    config = load_config(file)
    assert models(config)
    for model in models(config):
        built = build(model)
        assert sum(p.numel() for p in built.parameters()) > 10_000
        # All start their last convolutions as torch does, the template of ARML and those that it is compared with.
        heads = [part for part in built.modules() if isinstance(part, BaseDecodeHead)]
        assert bool(heads) is ('network' in model)
        assert not any(head.init_cfg for head in heads)
    stages = build_stages(config)
    for index, stage in enumerate(stages):
        assert set(stage.needs) <= {before.name for before in stages[:index]}
    assert datasets_in(config._cfg_dict)
    for dataset in datasets_in(config._cfg_dict):
        for transform in name_recipe(dataset['pipeline'], dataset.get('augmentation')):
            TRANSFORMS.build(transform)
        built = DATASETS.build({**dataset, 'pipeline': [], 'lazy_init': True, 'masks': None})
        assert built.num_classes == 4
    for part in sections(config):
        loader = part.get('train_dataloader')
        if loader and not loader.drop_last:  # a batch norm refuses a last batch of one tile
            assert TILES[file.stem.rpartition('_')[2]] % loader.batch_size != 1
        for name in ('val_evaluator', 'test_evaluator'):
            found = part.get(name) or []
            for metric in [found] if isinstance(found, dict) else found:
                METRICS.build(dict(metric))
    if 'pseudo_masks' in config:
        MAPS.build(config.pseudo_masks.maps)
        MASK_RULES.build(config.pseudo_masks.rule)


@pytest.mark.parametrize('file', LAID_OUT, ids=names(LAID_OUT))
def test_configs__dump_and_reload(file, tmp_path):
    config = load_config(file)
    (tmp_path / 'config.py').write_text(config.pretty_text)
    assert load_config(tmp_path / 'config.py').to_dict() == config.to_dict()


@pytest.mark.parametrize('file', FULL, ids=names(FULL))
def test_configs__public_paths(file):
    plain, changed = load_config(file), load_config(file, {**PUBLIC, 'data_root': 'elsewhere'})
    before, after = build(plain.model), build(changed.model)
    classifier, usual = build(changed.classifier.model), build(plain.classifier.model)
    assert (before.swv.omega, after.swv.omega) == (2, 3)
    assert (before.srm.alpha, before.srm.beta) == (30, 60)
    assert (after.srm.alpha, after.srm.beta) == (7, 8)
    assert (before.lambda_, after.lambda_) == (0.2, 0.5)
    assert sum(p.numel() for p in usual.neck.parameters()) > 0
    assert sum(p.numel() for p in classifier.neck.parameters()) == 0
    assert changed.randomness.seed == 11
    found = datasets_in(changed._cfg_dict)
    assert len(found) == 7
    assert {dataset['seed'] for dataset in found} == {11}
    assert {dataset['data_root'] for dataset in found} == {'elsewhere'}


@pytest.mark.parametrize('file', FULL, ids=names(FULL))
def test_configs__swv_and_srm_can_be_switched_off(file):
    config = load_config(file, {'model.swv.enabled': False, 'model.srm.enabled': False})
    model = build(config.model)
    assert not model.swv.enabled
    assert not model.srm.enabled


@pytest.mark.parametrize('net', ['resnest101', 'resnet38', 'mit-b3'])
@pytest.mark.parametrize('data', ['bcss', 'luad'])
def test_configs__hyper_parameters_of_the_paper(net, data):
    config = load_config(ROOT / 'configs' / f'arml_{net}_{data}.py')
    assert (config.train_cfg.max_epochs, config.classifier.train_cfg.max_epochs) == (10, 20)
    assert config.train_dataloader.batch_size == config.classifier.train_dataloader.batch_size == 20
    assert config.optim_wrapper.optimizer.lr == 5e-3
    assert config.classifier.optim_wrapper.optimizer.lr == 1e-2
    for part in (config, config.classifier):
        optimizer = part.optim_wrapper.optimizer
        assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 5e-4)
    assert {s.type for s in (*config.param_scheduler, *config.classifier.param_scheduler)} == {
        'PolyLR'
    }
    assert config.model.num_networks == 3
    assert config.classifier.model.presence_threshold == 0.25
    assert config.pseudo_masks.rule.normalisation == 'joint'
    assert config.train_dataloader.drop_last is config.classifier.train_dataloader.drop_last is True
    white = {'threshold': 200, 'min_size': 50} if data == 'luad' else None
    assert config.pseudo_masks.rule.get('white_area') == white
    # A tissue under white is no miss of protocol A, of raw CAM as little as of the segmentor.
    assert config.classifier.model.mask_rule.get('white_area') is None


@pytest.mark.parametrize('file', FULL, ids=names(FULL))
def test_configs__the_weak_split_has_no_dense_masks(file):
    for dataset in datasets_in(load_config(file)._cfg_dict):
        if dataset['split'] == 'train':
            assert dataset.get('masks') is None
            assert not dataset.get('test_mode')
        else:
            assert dataset['masks'] == 'dense'
            assert dataset['test_mode'] is True
