"""Prediction as a function of an array and its microns per pixel."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.utils import register_all_modules
from torch import nn

from arml.errors import CheckpointError, ConfigError, DataError
from arml.inference import TissuePredictor
from arml.registry import MODELS

CARD = {
    'stage': 'segmentor',
    'section': None,
    'classes': ['x', 'y'],
    'palette': [[255, 0, 0], [0, 255, 0]],
    'input_size': [16, 16],
    'tile_size': [16, 16],
    'mpp': 0.5,
    'mean': [120.0, 110.0, 100.0],
    'std': [50.0, 60.0, 70.0],
    'bgr_to_rgb': True,
}
CONFIG = """
model = dict(
    type='arml.MutualLearningSegmentor',
    num_networks=1,
    swv=dict(type='arml.SWVLoss', enabled=False),
    srm=dict(type='arml.SRMLoss', enabled=False),
    network=dict(
        type='EncoderDecoder',
        backbone=dict(type='arml.TimmBackbone', model_name='resnet10t', output_stride=8,
                      out_indices=(4,), pretrained=True),
        decode_head=dict(type='FCNHead', in_channels=512, in_index=0, channels=4, num_convs=1,
                         num_classes=2, norm_cfg=dict(type='BN')),
        train_cfg=dict(), test_cfg=dict(mode='whole')),
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[120., 110., 100.],
                           std=[50., 60., 70.], bgr_to_rgb=True))
classifier = dict(model=dict(
    type='arml.MultiLabelClassifier',
    backbone=dict(type='arml.TimmBackbone', model_name='resnet10t', pretrained=True),
    head=dict(type='arml.LinearMapHead', num_classes=2, in_channels=512)))
"""


class PixelModel(nn.Module):
    """Class probabilities of each pixel from that pixel alone; remembers what it was fed."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def predict_probabilities(self, inputs):
        self.shapes.append(tuple(inputs.shape))
        self.last = inputs
        return torch.stack([inputs[:, 0], inputs[:, 2]], dim=1).softmax(1)


def predictor(model=None, **changed) -> TissuePredictor:
    settings = {key: changed.pop(key) for key in ('overlap', 'batch_size') if key in changed}
    return TissuePredictor(model or PixelModel(), {**CARD, **changed}, device='cpu', **settings)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def expected(image: np.ndarray) -> np.ndarray:
    x = (image.astype(np.float32) - CARD['mean']) / CARD['std']
    scores = np.exp(np.stack([x[..., 0], x[..., 2]]))
    return scores / scores.sum(0)


@pytest.mark.parametrize('size', [(16, 16), (40, 23), (5, 50), (1, 1), (16, 17)])
@pytest.mark.parametrize('overlap', [0, 0.5])
def test_predictor__windows_equal_one_big_forward(size, overlap):
    image = noise(*size)
    found = predictor(overlap=overlap, batch_size=3)(image)
    assert found.shape == (2, *size)
    assert found.dtype == np.float32
    assert np.allclose(found, expected(image), atol=1e-5)
    assert np.allclose(found.sum(0), 1, atol=1e-5)


def test_predictor__the_network_sees_windows_of_its_input_size_in_batches():
    model = PixelModel()
    predictor(model, batch_size=4, overlap=0)(noise(64, 48))
    assert model.shapes == [(4, 3, 16, 16)] * 3


def test_predictor__blends_windows_by_hann_weights():
    class WindowModel(nn.Module):
        calls = 0

        def predict_probabilities(self, inputs):
            self.calls += 1  # the first window is sure of x, the second of y
            answer = torch.zeros(1, 2, 16, 16)
            answer[:, self.calls - 1] = 1
            return answer

    found = predictor(WindowModel(), batch_size=1)(noise(16, 24))
    weights = np.sin(np.pi * (np.arange(16) + 0.5) / 16) ** 2
    assert np.all(found[0, :, :8] == 1)
    assert np.all(found[1, :, 16:] == 1)
    share = weights[8:] / (weights[8:] + weights[:8])
    assert np.allclose(found[0, :, 8:16], share, atol=1e-6)


def test_predictor__channel_order_and_normalisation_are_those_of_training():
    image = noise(16, 16)
    model = PixelModel()
    predictor(model)(image)
    from mmseg.models.data_preprocessor import SegDataPreProcessor

    preprocessor = SegDataPreProcessor(mean=CARD['mean'], std=CARD['std'], bgr_to_rgb=True)
    bgr = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    assert torch.equal(model.last, preprocessor({'inputs': [bgr]})['inputs'])
    predictor(model, mean=None, std=None, bgr_to_rgb=False)(image)
    assert torch.equal(model.last[0], bgr.float())


def test_predictor__normalises_each_window_by_its_own_statistics():
    model = PixelModel()
    image = noise(16, 32)
    image[:, 16:] //= 4
    changed = {'normalise': 'tile', 'epsilon': 2.0, 'mean': None, 'std': None}
    predictor(model, overlap=0, **changed)(image)
    for window, seen in zip((image[:, :16], image[:, 16:]), model.last.numpy(), strict=True):
        plane = window.astype(np.float64).transpose(2, 0, 1)
        by_hand = [(x - x.mean()) / max(x.std(), 2.0) for x in plane]
        assert np.allclose(seen, by_hand, atol=1e-5)
    predictor(model, **changed)(np.full((16, 16, 3), 255, np.uint8))
    assert not model.last.any()


def test_predictor__rescales_where_both_scales_are_known():
    model = PixelModel()
    predict = predictor(model)
    image = np.kron(noise(16, 16), np.ones((2, 2, 1), dtype=np.uint8))
    # the image is twice as fine as the tiles: one window after shrinking
    found = predict(image, mpp=0.25)
    assert model.shapes == [(1, 3, 16, 16)]
    assert found.shape == (2, 32, 32)
    assert np.allclose(found[:, ::2, ::2][:, 1:-1, 1:-1].sum(0), 1, atol=1e-5)
    small = expected(image[::2, ::2])
    assert np.abs(found[:, 1::2, 1::2] - small).mean() < np.abs(small - small.mean()).mean()
    for unknown in (predict(image), predictor(mpp=None)(image, mpp=0.25), predict(image, mpp=0.5)):
        assert np.allclose(unknown, expected(image), atol=1e-5)


def test_predictor__tiles_enter_as_they_did_in_training():
    model = PixelModel()
    found = predictor(model, tile_size=[32, 32])(noise(32, 32))
    assert model.shapes == [(1, 3, 16, 16)]
    assert found.shape == (2, 32, 32)
    predictor(model, tile_size=[32, 32])(noise(64, 64), mpp=0.25)
    assert model.shapes[-1] == (1, 3, 16, 16)
    predictor(model, tile_size=None)(noise(16, 16))
    assert model.shapes[-1] == (1, 3, 16, 16)


def test_predictor__raises():
    with pytest.raises(CheckpointError, match=r"of a Linear \(stage 'classifier'\).*segmentor"):
        predictor(nn.Linear(1, 1), stage='classifier')
    with pytest.raises(CheckpointError, match='says nothing about "input_size"'):
        predictor(input_size=None)
    with pytest.raises(CheckpointError, match='expected one of dataset, tile'):
        predictor(normalise='image')
    with pytest.raises(ConfigError, match='overlap: found 1'):
        predictor(overlap=1)
    with pytest.raises(ConfigError, match='batch_size: found 0'):
        predictor(batch_size=0)
    with pytest.raises(DataError, match=r'image: found float64 \(4, 4, 3\)'):
        predictor()(np.zeros((4, 4, 3)))
    with pytest.raises(DataError, match=r'image: found uint8 \(4, 4\)'):
        predictor()(np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match='mpp: found -1'):
        predictor()(noise(4, 4), mpp=-1)
    with pytest.raises(CheckpointError, match=r'shape \(1, 2, 16, 16\), expected \(1, 3, 16, 16\)'):
        predictor(classes=['x', 'y', 'z'])(noise(4, 4))


class WithBackground(PixelModel):
    """As PixelModel, with a third channel."""

    def predict_probabilities(self, inputs):
        return torch.cat([super().predict_probabilities(inputs) / 2, inputs[:, :1] * 0 + 0.5], 1)


def test_predictor__a_network_that_predicts_background_too():
    image = noise(24, 20)
    found = predictor(WithBackground(), background_index=2)(image)
    assert found.shape == (3, 24, 20)
    assert np.allclose(found[:2], expected(image) / 2, atol=1e-5)
    assert np.allclose(found[2], 0.5, atol=1e-6)
    # The data set has no background, or the card does not say so.
    for index in (None, 3):
        with pytest.raises(
            CheckpointError, match=r'shape \(1, 3, 16, 16\), expected \(1, 2, 16, 16\) for'
        ):
            predictor(WithBackground(), background_index=index)(noise(4, 4))
    wanted = r'expected \(1, 3, 16, 16\) or \(1, 4, 16, 16\) .*last channel for background'
    with pytest.raises(CheckpointError, match=wanted):
        predictor(classes=['x', 'y', 'z'], background_index=3)(noise(4, 4))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A checkpoint as ``tools/train.py`` writes it, and its model."""
    register_all_modules(init_default_scope=False)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(Config.fromstring(CONFIG, '.py').model).eval()
    path = tmp_path_factory.mktemp('run') / 'checkpoint.pth'
    card = {**CARD, 'config': Config.fromstring(CONFIG, '.py').pretty_text}
    torch.save({'meta': {'arml': card}, 'state_dict': model.state_dict()}, path)
    return path, model, card


def test_from_checkpoint__equals_the_trained_model(trained, tmp_path):
    path, model, _ = trained
    image = noise(16, 16, seed=1)
    inputs = (torch.from_numpy(image).float() - torch.tensor(CARD['mean'])) / torch.tensor(
        CARD['std']
    )
    with torch.inference_mode():
        direct = model.predict_probabilities(inputs.permute(2, 0, 1)[None])[0].numpy()
    from_text = TissuePredictor.from_checkpoint(path, device='cpu')
    assert np.allclose(from_text(image), direct, atol=1e-6)
    assert from_text.classes == ('x', 'y')
    (tmp_path / 'config.py').write_text('randomness = dict(seed=0)\n' + CONFIG)
    from_file = TissuePredictor.from_checkpoint(path, tmp_path / 'config.py', device='cpu')
    assert np.array_equal(from_file(image), from_text(image))


def test_from_checkpoint__raises(trained, tmp_path):
    path, model, card = trained

    def saved(card: dict | None, state: dict | None = None):
        file = tmp_path / 'other.pth'
        meta = {} if card is None else {'arml': card}
        torch.save({'meta': meta, 'state_dict': state or model.state_dict()}, file)
        return file

    load = TissuePredictor.from_checkpoint
    with pytest.raises(CheckpointError, match='no such file'):
        load(tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match='does not describe its model'):
        load(saved(None))
    with pytest.raises(CheckpointError, match='another architecture'):
        load(saved(card, {'weight': torch.zeros(1)}))
    with pytest.raises(
        CheckpointError, match=r"trained on the classes \['x', 'y'\], the config is"
    ):
        load(path, classes=['x', 'z'])
    with pytest.raises(ConfigError, match='no such file'):
        load(path, tmp_path / 'none.py')
    with DefaultScope.overwrite_default_scope('mmseg'):
        classifier = MODELS.build(Config.fromstring(CONFIG, '.py').classifier.model)
    file = saved({**card, 'section': 'classifier', 'stage': 'classifier'}, classifier.state_dict())
    with pytest.raises(CheckpointError, match='of a MultiLabelClassifier'):
        load(file)
