"""A prediction of a tile is what the test stage scored, whatever the normalisation."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from arml.datasets.transforms import decode_tile
from arml.inference import TissuePredictor
from arml.pipeline.data import metainfo_of
from arml.pipeline.model_card import model_card
from arml.pseudo.io import read_mask
from arml.registry import DATASETS, MODELS


def rgb(path) -> np.ndarray:
    return np.ascontiguousarray(decode_tile(path)[..., ::-1])


def test_predictor__gives_the_masks_of_the_test_stage(tiny_run):
    predict = TissuePredictor.from_checkpoint(tiny_run.checkpoint(), tiny_run.load(), device='cpu')
    assert predict.normalise == 'tile'
    kept = sorted((tiny_run.work / 'test' / 'examples').glob('*.prediction.png'))
    assert kept
    for file in kept:
        image = rgb(str(file).replace('.prediction.', '.tile.'))
        assert np.array_equal(predict(image).argmax(0), read_mask(file)), file.name


@pytest.mark.parametrize('preprocessor', [
    {'normalise': 'tile', 'mean': None, 'std': None, 'epsilon': 60.0},
    {'normalise': 'dataset', 'mean': [180.0, 120.0, 160.0], 'std': [60.0, 50.0, 40.0]},
])  # fmt: skip
def test_predictor__agrees_with_test_step(tiny_run, preprocessor):
    config = tiny_run.load()
    config.model.data_preprocessor.update(preprocessor)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(config.model).eval()
        dataset = DATASETS.build(config.test_dataloader.dataset)
    torch.nn.init.normal_(model.networks[0].decode_head.conv_seg.weight)  # answers that differ
    info = metainfo_of(config.test_dataloader['dataset'])
    predict = TissuePredictor(model, model_card(config.model.to_dict(), info, config), device='cpu')
    seen = set()
    for index in range(len(dataset)):
        with torch.inference_mode():
            sample = model.test_step(pseudo_collate([dataset[index]]))[0]
        found = predict(rgb(sample.img_path))
        expected = sample.seg_logits.data.softmax(0).numpy()
        assert np.allclose(found, expected, atol=1e-6)
        assert np.array_equal(found.argmax(0), sample.pred_sem_seg.data[0].numpy())
        seen |= set(np.unique(found.argmax(0)))
    assert len(seen) > 1
