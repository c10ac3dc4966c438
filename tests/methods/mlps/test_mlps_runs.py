"""All stages of MLPS in seconds: two iterations an epoch, a resume, a prediction from the checkpoint alone."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT, write_fake_tissue

from arml.config import load_config
from arml.engine import checkpoint as checkpoints
from arml.engine.hooks.history import HistoryHook
from arml.errors import CheckpointError
from arml.inference.predictor import TissuePredictor
from arml.pipeline import run_pipeline
from arml.pipeline.testing import evaluate_checkpoint
from arml.pseudo.io import read_mask
from arml.registry import MODELS

CONFIG = ROOT / 'tests' / 'conf' / 'mlps_short.py'
LAYERS = ('final', 'net.layer3.0', 'net.layer2')

#: Beyond what test_every_method.py checks of every method: bit for bit as uninterrupted.
pytestmark = pytest.mark.slow


def load(data, store, **overrides):
    return load_config(
        CONFIG, {'data_root': str(data), 'store': str(store), **overrides}, for_run=True
    )


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Data, work dir and result of a run that nothing interrupts."""
    folder = tmp_path_factory.mktemp('mlps')
    data = write_fake_tissue(folder / 'data')
    result = run_pipeline(load(data, folder / 'store'), folder / 'work')
    return data, folder / 'work', result


def history(work, stage):
    return (work / stage / 'history.jsonl').read_text()


def test_run__has_the_rows_and_the_masks_of_three_layers(whole):
    _, work, result = whole
    assert [row['name'] for row in result['rows']] == ['raw CAM', 'MLPS']
    stems = {
        name: sorted(p.name for p in (work / 'pseudo_masks' / name).glob('*.png'))
        for name in LAYERS
    }
    assert len(stems['final']) == 12
    assert stems['final'] == stems['net.layer2'] == stems['net.layer3.0']
    differ = [
        (read_mask(work / 'pseudo_masks' / 'final' / stem)
         != read_mask(work / 'pseudo_masks' / 'net.layer2' / stem)).any()
        for stem in stems['final']
    ]  # fmt: skip
    assert any(differ)  # else one mask would do
    scores = json.loads((work / 'mask_scores' / 'scores.json').read_text())
    assert set(scores) == {'final', 'middle', 'shallow'}


def test_run__segmentor_learnt_from_all_three(whole):
    _, work, _ = whole
    lines = [json.loads(line) for line in history(work, 'segmentor').splitlines()]
    names = {name for line in lines for name in line if 'loss_' in name}
    assert {name.split('.')[-1] for name in names} >= {'loss_deep', 'loss_middle', 'loss_shallow'}


def test_run__checkpoint_holds_the_classifier_and_needs_nothing_else(whole, tmp_path):
    data, work, result = whole
    segmentor = checkpoints.load(work / 'segmentor' / 'checkpoint.pth')['state_dict']
    classifier = checkpoints.load(work / 'classifier' / 'checkpoint.pth')['state_dict']
    for name, value in classifier.items():
        assert torch.equal(segmentor[f'gate.{name}'], value), name

    tested = evaluate_checkpoint(
        load(data, tmp_path / 'none'), work / 'segmentor' / 'checkpoint.pth', tmp_path / 'test'
    )
    assert tested['rows'][0]['metrics'] == result['rows'][1]['metrics']

    # From the text inside the checkpoint alone.
    predictor = TissuePredictor.from_checkpoint(work / 'segmentor' / 'checkpoint.pth', device='cpu')
    tile = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    probabilities = predictor(tile)
    np.testing.assert_allclose(probabilities.sum(0), 1, rtol=1e-5)
    assert np.array_equal(predictor(tile), probabilities)
    model = predictor.model
    present = model.gate.probabilities(
        predictor._preprocess(tile[None])
    )  # another run of the same tile
    gone = (present[0] <= 0.1) & (present[0] < present[0].max())
    assert not probabilities[gone.numpy()].any()


def interrupt(monkeypatch, section, iteration):
    before = HistoryHook.after_train_iter

    def after_train_iter(self, runner, *args, **kwargs):
        if f'/{section}/' in f'{runner.work_dir}/' and runner.iter == iteration:
            raise KeyboardInterrupt
        return before(self, runner, *args, **kwargs)

    monkeypatch.setattr(HistoryHook, 'after_train_iter', after_train_iter)


def test_run__interrupted_and_resumed_ends_as_the_whole_one(whole, tmp_path, monkeypatch):
    data, before, expected = whole
    config = load(data, tmp_path / 'store')
    # Behind the attention in its second active epoch; then in the second epoch of the segmentor.
    for section, iteration in (('classifier', 5), ('segmentor', 3)):
        with monkeypatch.context() as patch:
            interrupt(patch, section, iteration)
            with pytest.raises(KeyboardInterrupt):
                run_pipeline(config, tmp_path / 'work', resume=True)
    result = run_pipeline(config, tmp_path / 'work', resume=True)
    assert result['rows'] == expected['rows']
    for stage in ('classifier', 'segmentor'):
        assert history(tmp_path / 'work', stage) == history(before, stage)
        states = [
            checkpoints.load(work / stage / 'checkpoint.pth')['state_dict']
            for work in (before, tmp_path / 'work')
        ]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_run__gate_and_weights_are_part_of_the_key_and_where_masks_lie_is_not(whole, tmp_path):
    from arml.pipeline.run import build_stages, make_plan
    from arml.pipeline.store import Store

    data, _, result = whole

    def keys(store, **overrides):
        config = load(data, store, **overrides)
        return {item.stage.name: item.key for item in make_plan(build_stages(config), Store(store))}

    plain = keys(tmp_path / 'elsewhere')
    assert plain == {name: stage['key'] for name, stage in result['stages'].items()}
    for leaf, value in (('model.gate.mode', 'zero'), ('model.mask_weights.middle', 0.0)):
        changed = keys(tmp_path / 'elsewhere', **{leaf: value})
        assert changed['segmentor'] != plain['segmentor']
        assert changed['pseudo_masks'] == plain['pseudo_masks']
    attention = keys(tmp_path / 'elsewhere', **{'classifier.model.attention.floor': 0.5})
    assert attention['classifier'] != plain['classifier']


def test_gate__asks_for_no_initial_weights_of_its_classifier():
    """Those of the full size are a file that a machine for prediction does not have."""
    config = load_config(ROOT / 'configs' / 'mlps' / 'mlps_tiny_synthetic.py')
    config.model.gate.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='missing.pth')
    config.model.network.backbone.init_cfg = None
    with pytest.raises(CheckpointError, match=r'model\.gate\.checkpoint: found None'):
        MODELS.build(config.model).init_weights()  # and not for missing.pth
