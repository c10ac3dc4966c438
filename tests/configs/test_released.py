"""The paper's and the released configuration: a set of leaves apart, each of which may be flipped alone."""

import re

import pytest
from conftest import ROOT
from test_configs import build

from arml.config import load_config
from arml.config.sections import get_leaf
from arml.pipeline.run import build_stages
from arml.registry import DATASETS, MAPS

TABLE = (ROOT / 'docs' / 'paper_vs_released.md').read_text(encoding='utf-8')
MISSING = object()
#: The name, and the pipeline, whose last row is called by it.
NAMES = {'title', 'pipeline'}


def load(kind, data, overrides=None):
    name = {'paper': 'arml_resnest101', 'released': 'arml_released_resnest101'}[kind]
    return load_config(ROOT / 'configs' / f'{name}_{data}.py', overrides)


def leaves(node, path=''):
    if isinstance(node, dict) and node:
        return {k: v for key in node for k, v in leaves(node[key], f'{path}.{key}').items()}
    return {path[1:]: node}


def difference(data):
    """Leaf -> (paper's value, released value)."""
    paper, released = (leaves(load(kind, data).to_dict()) for kind in ('paper', 'released'))
    return {
        leaf: (paper.get(leaf, MISSING), released.get(leaf, MISSING))
        for leaf in sorted({*paper, *released} - NAMES)
        if paper.get(leaf, MISSING) != released.get(leaf, MISSING)
    }


def marked():
    """First leaf of every line of the table with a mark."""
    rows = [line for line in TABLE.splitlines() if '| ● | `' in line]
    return {re.search(r'\| ● \| `([\w.]+)=', row).group(1) for row in rows}


LEAVES = sorted(difference('bcss'))


def test_released__differs_by_the_marked_leaves_and_no_others():
    assert set(LEAVES) == marked()


def test_released__has_a_name_of_its_own_and_the_same_stages():
    paper, released = (load(kind, 'bcss') for kind in ('paper', 'released'))
    rows = [config.pipeline[-1].pop('row') for config in (paper, released)]
    assert rows == [paper.title, released.title] == ['ARML', 'ARML (released)']
    assert paper.pipeline == released.pipeline


def test_released__is_the_same_on_both_data_sets():
    assert difference('bcss') == difference('luad')


def test_released__every_leaf_is_in_both():
    absent = [leaf for leaf, values in difference('bcss').items() if MISSING in values]
    assert not absent


@pytest.mark.parametrize('side', ['paper', 'released'])
@pytest.mark.parametrize('leaf', LEAVES)
def test_released__each_leaf_can_be_flipped_alone(side, leaf):
    paper, released = difference('bcss')[leaf]
    flipped = released if side == 'paper' else paper
    config = load(side, 'bcss', {leaf: flipped})
    assert get_leaf(config, leaf) == flipped
    if leaf.startswith('model.'):
        build(config.model)
    elif leaf.startswith('classifier.model'):
        build(config.classifier.model)
    elif leaf.startswith('pseudo_masks'):
        MAPS.build(config.pseudo_masks.maps)
    elif 'dataset' in leaf:
        section = config.classifier if leaf.startswith('classifier') else config
        DATASETS.build({**section.train_dataloader.dataset, 'lazy_init': True})
    build_stages(config)


def test_released__values():
    config = load('released', 'bcss')
    model, classifier = build(config.model), build(config.classifier.model)
    assert len(model.networks) == 1
    assert (len(model.names), list(model.mains)) == (3, [0])
    network = model.networks[0]
    assert network.backbone.channels == [512]
    # Stem, two stages and the head; the full encoder alone has 46 million.
    assert 2e6 < sum(p.numel() for p in model.parameters()) < 4e6
    assert network.decode_head.dropout.p == 0.2
    assert model.align_corners
    trained = [name for name, p in classifier.neck.named_parameters() if p.requires_grad]
    # Of 21 million parameters of the attention and the gates, one filter of 98 weights is trained.
    assert trained == ['reactivation.conv.weight']
    assert config.classifier.optim_wrapper.optimizer.momentum == 5e-4
    assert config.train_dataloader.drop_last is False
