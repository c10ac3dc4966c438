"""All stages of OEEM on tiny tiles: stopped in both trainings and resumed, they end as if never stopped."""

import pytest
import torch
from conftest import ROOT
from stopping import Stopped, stop_once_in_each_stage

from arml.config import load_config
from arml.engine import checkpoint as checkpoints
from arml.engine.hooks.history import read_history
from arml.pipeline import run_pipeline

CONFIG = ROOT / 'tests' / 'conf' / 'oeem.py'

#: Beyond what test_every_method.py checks of every method: bit for bit as uninterrupted.
pytestmark = pytest.mark.slow


def run(folder, data):
    given = {
        'data_root': str(data), 'store': str(folder / 'store'), 'train_dataloader.batch_size': 12,
        'classifier.train_dataloader.batch_size': 12,
    }  # fmt: skip
    return run_pipeline(load_config(CONFIG, given, for_run=True), folder / 'work', resume=True)


def test_oeem__stopped_and_resumed_ends_as_uninterrupted(fake_tissue, tmp_path, monkeypatch):
    # Nothing looks at the pictures, which take half of the time.
    monkeypatch.setattr('arml.pipeline.finish._pictures', lambda *_: [])
    whole = run(tmp_path / 'whole', fake_tissue)
    tested = [row for row in whole['rows'] if row['stage'] in ('cam_test', 'test')]
    assert [row['name'] for row in tested] == ['raw CAM', 'OEEM']
    assert {row['split'] for row in tested} == {'test'}
    assert all(0 <= row['metrics']['mIoU'] <= 100 for row in whole['rows'])

    stopped = stop_once_in_each_stage(monkeypatch)
    for stage in ('classifier', 'segmentor'):
        with pytest.raises(Stopped, match=stage):
            run(tmp_path / 'parts', fake_tissue)
    assert run(tmp_path / 'parts', fake_tissue)['rows'] == whole['rows']
    assert stopped == ['classifier', 'segmentor']
    for stage in stopped:
        one, other = (
            checkpoints.load(tmp_path / kind / 'work' / stage / 'checkpoint.pth')['state_dict']
            for kind in ('whole', 'parts')
        )
        assert one.keys() == other.keys()
        assert not [name for name in one if not torch.equal(one[name], other[name])]

    work = tmp_path / 'whole' / 'work'
    classifier = checkpoints.load(work / 'classifier' / 'checkpoint.pth')['state_dict']
    assert classifier['head.classifier.weight'].shape == (4, 4 + 8 + 8, 1, 1)
    assert (classifier['head.classifier.bias'] != 0).all()  # trained
    steps = [row for row in read_history(work / 'segmentor' / 'history.jsonl') if 'loss' in row]
    assert all(row['loss'] == pytest.approx(row['loss_mask']) for row in steps)
    assert len(steps) == 2
