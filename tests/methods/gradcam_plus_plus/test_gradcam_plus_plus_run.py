"""All stages of Grad-CAM++ on tiny tiles: stopped in both trainings and resumed, as if never stopped."""

import numpy as np
import pytest
import torch
from conftest import ROOT
from stopping import Stopped, stop_once_in_each_stage

from arml.config import load_config
from arml.engine import checkpoint as checkpoints
from arml.methods.gradcam_plus_plus import GradCAMPlusPlusMaps
from arml.pipeline import run_pipeline
from arml.pseudo.io import read_mask

CONFIG = ROOT / 'configs' / 'gradcam_plus_plus' / 'gradcam_plus_plus_tiny_synthetic.py'
NARROW = (4, 8, 8, 8)
#: Two iterations of each stage, tiles of 32 pixels, networks of a few thousand parameters.
SMALL = {
    'tile_size': (32, 32),
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 1,
    'train_dataloader.batch_size': 12,
    'model.network.backbone.model_args.channels': NARROW,
    'model.network.decode_head.channels': 8,
    'model.network.decode_head.pool_scales': (1, 2),
    'classifier.tile_size': (32, 32),
    'classifier.train_cfg.max_epochs': 2,
    'classifier.train_cfg.val_interval': 2,
    'classifier.train_dataloader.batch_size': 12,
    'classifier.model.backbone.model_args.channels': NARROW,
    'classifier.model.neck.in_channels': 8,
    'classifier.model.neck.reduction': 2,
    'classifier.model.head.in_channels': 8,
    # A dozen tiles need no copy, and no garbage collection for each.
    **{
        f'{section}{split}_dataloader.dataset.serialize_data': False
        for section in ('', 'classifier.')
        for split in ('train', 'val', 'test')
    },
    'pseudo_masks.dataloader.dataset.serialize_data': False,
}

#: Beyond what test_every_method.py checks of every method: bit for bit as uninterrupted.
pytestmark = pytest.mark.slow


def run(folder, data):
    given = {**SMALL, 'data_root': str(data), 'store': str(folder / 'store')}
    return run_pipeline(load_config(CONFIG, given, for_run=True), folder / 'work', resume=True)


def test_gradcam_plus_plus__stopped_and_resumed_ends_as_uninterrupted(
    fake_tissue, tmp_path, monkeypatch
):
    # Nothing looks at the pictures, which take half of the time.
    monkeypatch.setattr('arml.pipeline.finish._pictures', lambda *_: [])
    seen, real = [], GradCAMPlusPlusMaps.__call__

    def watched(self, classifier, inputs, features=None, present=None):
        seen.append(len(inputs))
        return real(self, classifier, inputs, features, present)

    monkeypatch.setattr(GradCAMPlusPlusMaps, '__call__', watched)
    whole = run(tmp_path / 'whole', fake_tissue)
    rows = whole['rows']
    tested = [row for row in rows if row['stage'] in ('cam_test', 'test')]
    assert [(row['name'], row['split']) for row in tested] == [
        ('raw CAM', 'test'), ('Grad-CAM++', 'test'),
    ]  # fmt: skip
    assert all(0 <= row['metrics']['mIoU'] <= 100 for row in rows)
    # Six tiles of validation, twelve that get masks, six tiles of the test; then a few pictures.
    assert sum(seen) >= 6 + 12 + 6
    masks = sorted((tmp_path / 'whole' / 'work' / 'pseudo_masks' / 'final').glob('*.png'))
    assert len(masks) == 12
    for file in masks:
        allowed = {index for index, digit in enumerate(file.stem[-5:-1]) if digit == '1'}
        assert set(np.unique(read_mask(file)).tolist()) <= allowed

    stopped = stop_once_in_each_stage(monkeypatch)
    for stage in ('classifier', 'segmentor'):
        with pytest.raises(Stopped, match=stage):
            run(tmp_path / 'parts', fake_tissue)
    assert run(tmp_path / 'parts', fake_tissue)['rows'] == rows
    assert stopped == ['classifier', 'segmentor']
    for stage in stopped:
        one, other = (
            checkpoints.load(tmp_path / kind / 'work' / stage / 'checkpoint.pth')['state_dict']
            for kind in ('whole', 'parts')
        )
        assert one.keys() == other.keys()
        assert not [name for name in one if not torch.equal(one[name], other[name])]
