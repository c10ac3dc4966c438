"""The pictures at the end of a run show what they say."""

import numpy as np
import pytest

from arml.inference import TissuePredictor
from arml.pipeline import finish as finish_module
from arml.pipeline import run_pipeline
from arml.pipeline.finish import _choice, _with_predictions
from arml.pipeline.run import build_stages


@pytest.fixture
def drawn(tiny_run, tmp_path, monkeypatch):
    """What is drawn at the end of a run whose stages are all finished: file -> rows, title."""
    seen = {}
    real = finish_module.tile_sheet

    def note(rows, *args, path, title, **kwargs):
        seen[path.name] = (rows, title)
        return real(rows, *args, path=path, title=title, **kwargs)

    monkeypatch.setattr(finish_module, 'tile_sheet', note)
    run_pipeline(tiny_run.load(), tmp_path / 'work')
    return seen


def test_pseudo_masks__beside_truth_and_the_segmentor_on_the_same_tiles(tiny_run, drawn):
    rows, title = drawn['pseudo_masks.png']
    assert 'training tiles' in title
    assert len(rows) == 6
    predict = TissuePredictor.from_checkpoint(tiny_run.checkpoint(), device='cpu')
    for row in rows:
        assert list(row.masks) == ['truth', 'pseudo mask (final)', 'prediction']
        expected = predict(np.ascontiguousarray(row.tile)).argmax(0)
        assert (row.masks['prediction'] == expected).mean() > 0.99
    assert list(drawn['tiles.png'][0][0].masks) == ['truth', 'raw CAM', 'ARML']


def test_pseudo_masks__no_prediction_without_a_tested_segmentor(tiny_run, monkeypatch):
    class Item:
        def __init__(self, stage):
            self.stage = stage

    stages = {stage.name: stage for stage in build_stages(tiny_run.load())}
    plan = [Item(stage) for name, stage in stages.items() if name != 'test']
    assert _with_predictions(['rows'], stages['pseudo_masks'], None, plan, {}) == ['rows']


def test_choice__is_that_of_the_section(tiny_run):
    stages = {stage.name: stage for stage in build_stages(tiny_run.load())}
    assert _choice(stages['classifier'])[0] is None
    assert _choice(stages['segmentor']) == ('mIoU', 'greater')
