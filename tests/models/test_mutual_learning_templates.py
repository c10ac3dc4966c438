"""Every template of stage 2 builds, has the size it promises, and its public leaves."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import arml.models  # noqa: F401
from arml.config.load import read_config
from arml.registry import MODELS

BASES = Path(__file__).parents[2] / 'configs' / '_base_'
#: Millions of parameters of each network that the mutual learning of a config is built from.
SIZES = {
    'pspnet_resnest101': 69.3,
    'pspnet_resnet38': 141.8,
    'pspnet_tiny': 0.97,
    'segformer_mit-b3': 44.6,
}


@pytest.fixture(autouse=True)
def _mmseg_scope():
    init_default_scope('mmseg')


@pytest.fixture(scope='module')
def load(tmp_path_factory):
    """Read mutual learning of a network."""
    folder = tmp_path_factory.mktemp('templates')

    def read(name):
        files = [str(BASES / 'segmentors/mutual_learning.py'), str(BASES / f'networks/{name}.py')]
        (folder / f'{name}.py').write_text(f'_base_ = {files}')
        return read_config(folder / f'{name}.py')

    return read


def single(model):
    """One network, off the roles: a third of the memory."""
    return {
        **model,
        'num_networks': 1,
        'swv': {**model.swv, 'enabled': False},
        'srm': {**model.srm, 'enabled': False},
    }


@pytest.mark.parametrize('name', SIZES)
def test_template__builds_with_the_promised_size(name, load):
    config = load(name).model
    if name == 'segformer_mit-b3':
        # mmseg reads its drop rates back from a tensor: not possible on the meta device.
        model = MODELS.build(single(config))
    else:
        with torch.device('meta'):
            model = MODELS.build(config)
        assert len(model.networks) == 3
    count = sum(p.numel() for p in model.networks[0].parameters()) / 1e6
    assert count == pytest.approx(SIZES[name], abs=0.06)
    assert model.num_classes == 4


@pytest.mark.parametrize('name', SIZES)
def test_template__holds_the_paper_values_as_public_leaves(name, load):
    config = load(name)
    assert config.model.swv.omega == 2
    assert (config.model.srm.alpha, config.model.srm.beta) == (30, 60)
    assert config.model.lambda_ == 0.2
    overrides = {
        'model.swv.omega': 'drop',
        'model.swv.enabled': False,
        'model.srm.alpha': 1.0,
        'model.srm.enabled': False,
        'model.network.backbone.init_cfg': None,
    }
    config.merge_from_dict(overrides)
    reloaded = Config.fromstring(config.pretty_text, '.py')
    assert reloaded.model.swv.omega == 'drop'
    assert reloaded.model.network.backbone.init_cfg is None


@pytest.mark.parametrize('name', [n for n in SIZES if n != 'segformer_mit-b3'])
def test_template__output_stride_is_eight(name, load):
    with torch.device('meta'):
        network = MODELS.build(single(load(name).model)).networks[0].eval()
        logits = network.decode_head(network.extract_feat(torch.zeros(2, 3, 64, 64)))
    assert logits.shape == (2, 4, 8, 8)


def test_template__tiny_trains_every_parameter_on_two_tiles(load):
    torch.manual_seed(0)
    config = load('pspnet_tiny').model
    config.network.backbone.init_cfg = None  # a pipeline sets it to the trained classifier
    model = MODELS.build(config).train()
    model.init_weights()
    tiles = [torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8) for _ in range(2)]
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 4, (1, 48, 48)))) for _ in tiles
    ]
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):  # timm's residual branches start at scale 0: the first step opens them
        data = dict(inputs=tiles, data_samples=samples)
        log = model.train_step(data, OptimWrapper(optimiser))
    assert log['loss'].isfinite()
    assert 0 <= log['agreement'] <= 1
    after = zip(before, model.named_parameters(), strict=True)
    assert not [name for old, (name, new) in after if torch.equal(old, new)]
