"""``start=scratch``: one leaf by which every full-size config trains without weights."""

import re

import pytest
from conftest import ROOT
from shipped import CONFIGS, names
from test_configs import build

from arml.config import load_config
from arml.models.weights import FROM_SCRATCH

FULL = [file for file in CONFIGS if 'tiny' not in file.stem]


def parts(config):
    return {name: config[name].model if name != 'model' else config.model
            for name in ('classifier', 'model') if name in config}  # fmt: skip


def sources(node):
    """Whatever asks for weights in a config tree; what is lent by another section counts there."""
    if isinstance(node, dict) and node.get('model_of'):
        return 0
    items = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = isinstance(node, dict) and node.get('type') == 'Pretrained'
    return own + sum(map(sources, items))


@pytest.mark.parametrize('file', FULL, ids=names(FULL))
def test_start__from_scratch_asks_for_no_weights_and_trains_everything(file):
    for name, model in parts(load_config(file, {'start': 'scratch'}, for_run=True)).items():
        assert not sources(model)
        built = build(model).train()
        fixed = [key for key, p in built.named_parameters() if not p.requires_grad]
        still = [
            key
            for key, part in built.named_modules()
            if hasattr(part, 'running_mean') and not part.training
        ]
        if 'released' in file.stem and name == 'classifier':  # its neck is frozen on purpose
            fixed, still = ([key for key in keys if 'backbone' in key] for keys in (fixed, still))
        assert not fixed
        assert not still


@pytest.mark.parametrize('file', FULL, ids=names(FULL))
def test_start__from_imagenet_is_the_default(file):
    usual = load_config(file)
    assert usual.to_dict() == load_config(file, {'start': 'imagenet'}).to_dict()
    for model in parts(usual).values():
        assert sources(model) == 1
    backbone = usual.classifier.model.backbone
    assert (backbone.frozen_stages, backbone.norm_eval) == (2, True)


def test_start__norms_of_resnet38_can_be_trained_by_a_leaf_of_their_own():
    leaf = 'classifier.model.backbone.norm_cfg.requires_grad'
    config = load_config(ROOT / 'configs' / 'classifier_resnet38_bcss.py', {leaf: True})
    norm = build(config.classifier.model).backbone.bn7
    assert norm.weight.requires_grad


def test_start__is_what_comments_documents_and_messages_name():
    assert FROM_SCRATCH.startswith('--cfg-options start=scratch ')
    assert '--cfg-options start=scratch' in (ROOT / 'docs' / 'installation.md').read_text()
    for file in (ROOT / 'configs').rglob('*.py'):
        text = file.read_text()
        assert not re.search(r'init_cfg=None \(from scratch\)', text), file
