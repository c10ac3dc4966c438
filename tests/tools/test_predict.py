"""``tools/predict.py`` from the command line to its files."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.utils import register_all_modules
from PIL import Image

from arml.cli import run_tool
from arml.config import load_config
from arml.errors import CheckpointError, ConfigError
from arml.pipeline.data import metainfo_of
from arml.pipeline.model_card import model_card
from arml.registry import MODELS

TOOL = Path(__file__).parents[2] / 'tools' / 'predict.py'
CONFIG = """
randomness = dict(seed=0)
input_size = (16, 16)
tile_size = (32, 32)
data_root = 'data/synthetic'
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
                         num_classes=4, norm_cfg=dict(type='BN'), align_corners=False),
        train_cfg=dict(), test_cfg=dict(mode='whole')),
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[120., 110., 100.],
                           std=[50., 60., 70.], bgr_to_rgb=True))
test_dataloader = dict(dataset=dict(type='arml.SyntheticTissueDataset', split='test'))
"""


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('predict_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A config and a checkpoint that belong together."""
    return made(tmp_path_factory.mktemp('run'), CONFIG)


def made(folder: Path, text: str) -> Path:
    (folder / 'config.py').write_text(text)
    register_all_modules(init_default_scope=False)
    config = load_config(folder / 'config.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(config.model)
    info = metainfo_of(config.test_dataloader['dataset'])
    card = {
        **model_card(config.model.to_dict(), info, config),
        'stage': 'segmentor',
        'section': None,
        'config': config.pretty_text,
    }
    torch.save({'meta': {'arml': card}, 'state_dict': model.state_dict()}, folder / 'best.pth')
    return folder


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name, size in (('large', (50, 70, 3)), ('small', (9, 7, 3))):
        picture = Image.fromarray(generator.integers(0, 256, size, dtype=np.uint8))
        picture.save(folder / f'{name}.png')
    return folder


def test_predict__folder_and_file(tool, run, images, tmp_path, capsys):
    Image.new('RGB', (20, 20)).save(tmp_path / 'single.png')
    out = tmp_path / 'out'
    command = [run / 'config.py', run / 'best.pth', images, tmp_path / 'single.png', '--out', out]
    options = ['--mpp', '0.35', '--overlay-alpha', '0.5', '--batch-size', '3', '--device', 'cpu']
    assert tool.main([*map(str, command), *options]) == 0
    assert '3 of 3 images predicted' in capsys.readouterr().out
    rows = list(csv.DictReader((out / 'shares.csv').open()))
    assert [row['image'] for row in rows] == ['large', 'small', 'single']
    for row in rows:
        mask = np.array(Image.open(out / 'masks' / f'{row["image"]}.png'))
        for index, name in enumerate(('TUM', 'STR', 'LYM', 'NEC')):
            assert float(row[name]) == pytest.approx((mask == index).mean(), abs=1e-6)
    assert np.array(Image.open(out / 'overlays' / 'large.png')).shape == (50, 70, 3)
    settings = json.loads((out / 'settings.json').read_text())
    assert settings['mpp'] == 0.35
    assert settings['input_size'] == [16, 16]
    assert settings['overlay_alpha'] == 0.5
    assert settings['checkpoint'] == str(run / 'best.pth')


def test_predict__finishes_the_good_images_and_names_the_bad(tool, run, images, tmp_path, capsys):
    (images / 'between.png').write_bytes(b'not a picture')
    command = [run / 'config.py', run / 'best.pth', images, '--out', tmp_path / 'out']
    assert tool.main([*map(str, command), '--device', 'cpu']) == 1
    captured = capsys.readouterr()
    assert '2 of 3 images predicted' in captured.out
    assert 'between.png: not a readable image' in captured.err
    assert sorted(p.name for p in (tmp_path / 'out/masks').iterdir()) == ['large.png', 'small.png']


def test_predict__a_network_with_background_as_its_last_channel(tool, images, tmp_path):
    folder = made(tmp_path, CONFIG.replace('num_classes=4', 'num_classes=5'))
    out = tmp_path / 'out'
    command = [folder / 'config.py', folder / 'best.pth', images, '--out', out]
    assert tool.main([*map(str, command), '--device', 'cpu']) == 0
    rows = list(csv.DictReader((out / 'shares.csv').open()))
    assert list(rows[0]) == ['image', 'TUM', 'STR', 'LYM', 'NEC', 'background']
    mask = np.array(Image.open(out / 'masks' / 'large.png'))
    assert float(rows[0]['background']) == pytest.approx((mask == 4).mean(), abs=1e-6)


def test_predict__raises(tool, run, images, tmp_path, capsys):
    out = str(tmp_path / 'out')

    def predict(config, *options):
        return tool.main([str(config), str(run / 'best.pth'), str(images), '--out', out, *options])

    other = tmp_path / 'other.py'
    other.write_text(CONFIG.replace('SyntheticTissueDataset', 'EBHIDataset'))
    with pytest.raises(CheckpointError, match=r"trained on the classes \['TUM', 'STR', 'LYM'"):
        predict(other)
    other.write_text(CONFIG.split('test_dataloader')[0])
    with pytest.raises(ConfigError, match='test_dataloader missing'):
        predict(other)
    other.write_text(CONFIG.replace('channels=4', 'channels=6'))
    with pytest.raises(CheckpointError, match='another architecture'):
        predict(other)
    with pytest.raises(ConfigError, match="device: found 'gpu', expected 'cpu' or a GPU"):
        predict(run / 'config.py', '--device', 'gpu')
    with pytest.raises(ConfigError, match='mpp: found -1'):
        predict(run / 'config.py', '--mpp', '-1')
    assert run_tool(lambda: predict(tmp_path / 'none.py')) == 2
    assert 'none.py: no such file' in capsys.readouterr().err
    assert not Path(out).exists()
