"""Weights and scores that a mask rule gives beside its mask."""

import json

import numpy as np
import pytest
from tiny_run import load

from arml.datasets.transforms import read_extra
from arml.errors import ConfigError, DataError
from arml.pseudo.generate import generate
from arml.pseudo.io import read_mask, write_extra
from arml.pseudo.rules import MaskRule
from arml.registry import MASK_RULES


class WeighingRule(MaskRule):
    extras = ('weight', 'score')

    def __call__(self, maps, present, image=None):
        made = super().__call__(maps, present, image)
        weight = made.maps.amax(0).cpu().numpy()
        made.extras = {'weight': weight, 'score': np.float32(weight.mean())}
        return made


@pytest.fixture
def make(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setitem(MASK_RULES.module_dict, 'WeighingRule', WeighingRule)
    config = load(tiny_run.data, tmp_path / 'store')
    config.pseudo_masks.rule.type = 'arml.WeighingRule'

    def run():
        model, checkpoint = config.classifier.model, tiny_run.checkpoint('classifier')
        return generate(model, checkpoint, config.pseudo_masks, tmp_path / 'out', device='cpu')

    return run


def test_generate__extras_lie_beside_the_masks(make, tmp_path):
    made = make()
    assert made.masks == ['final']
    assert made.names == ['final', 'final.weight', 'final.score']
    assert list(made.scores) == ['final']
    out = tmp_path / 'out'
    assert json.loads((out / 'manifest.json').read_text())['names'] == made.names
    masks = sorted((out / 'final').iterdir())
    assert len(masks) == 12
    for mask in masks:
        weight = read_extra(out / 'final.weight' / f'{mask.stem}.npy')
        assert weight.dtype == np.float32
        assert weight.shape == read_mask(mask).shape
        score = read_extra(out / 'final.score' / f'{mask.stem}.npy')
        assert score == pytest.approx(weight.mean())


def test_generate__an_extra_that_is_gone_is_made_again(make, tmp_path):
    make()
    gone = sorted((tmp_path / 'out' / 'final.weight').iterdir())[3]
    kept = sorted((tmp_path / 'out' / 'final.weight').iterdir())[4]
    values, time = read_extra(gone), kept.stat().st_mtime_ns
    gone.unlink()
    make()
    assert np.allclose(read_extra(gone), values, atol=1e-5)  # another batch, another rounding
    assert kept.stat().st_mtime_ns == time


def test_generate__extras_raise(make, monkeypatch):
    monkeypatch.setattr(WeighingRule, 'extras', ('weight',))
    with pytest.raises(
        ConfigError, match=r"the extras \['score', 'weight'\], expected .*\['weight'\]"
    ):
        make()
    monkeypatch.setattr(WeighingRule, 'extras', ('../weight',))
    with pytest.raises(ConfigError, match="found '../weight', expected names"):
        make()


def test_write_extra__raises(tmp_path):
    with pytest.raises(DataError, match='found float64'):
        write_extra(tmp_path / 'a.npy', np.zeros((2, 2)))
    with pytest.raises(DataError, match=r'found float32 \(2,\)'):
        write_extra(tmp_path / 'a.npy', np.zeros(2, np.float32))
    with pytest.raises(DataError, match='NaN'):
        write_extra(tmp_path / 'a.npy', np.full((2, 2), np.nan, np.float32))
    assert not list(tmp_path.iterdir())


def test_mask_stage__names_the_extras_before_it_runs(tiny_run, tmp_path, monkeypatch):
    from arml.pipeline.stages.masks import MaskStage

    monkeypatch.setitem(MASK_RULES.module_dict, 'WeighingRule', WeighingRule)
    config = load(tiny_run.data, tmp_path / 'store')
    config.pseudo_masks.rule.type = 'arml.WeighingRule'
    stage = MaskStage(name='pseudo_masks', config=config, section='classifier')
    assert stage.items() == ['final', 'final.weight', 'final.score', 'examples']
