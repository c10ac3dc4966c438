"""The reader of MXNet's NDArray lists, and the converter of ResNet38d."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from arml.errors import CheckpointError
from arml.models import weights_mxnet
from arml.models.backbones.resnet38 import ResNet38d
from arml.models.weights import read_weights
from arml.models.weights_mxnet import convert, read_ndarray_list, resnet38d_name, sha256

ASSETS = Path(__file__).parents[1] / 'assets'
EXPECTED = json.loads((ASSETS / 'mxnet_written.json').read_text())
FILES = [name for name in EXPECTED if name.endswith('.params')]


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """The second version of the format, float32, written here from its description."""
    with path.open('wb') as file:
        file.write(struct.pack('<QQQ', 0x112, 0, len(arrays)))
        for array in arrays.values():
            file.write(struct.pack('<IiI', 0xF993FAC9, 0, array.ndim))
            file.write(struct.pack(f'<{array.ndim}q', *array.shape))
            file.write(struct.pack('<iii', 1, 0, 0))
            file.write(array.tobytes())
        file.write(struct.pack('<Q', len(arrays)))
        for name in arrays:
            file.write(struct.pack('<Q', len(name)) + name.encode())


@pytest.mark.parametrize('name', FILES)
def test_read_ndarray_list__equals_what_mxnet_wrote_or_read(name):
    assert EXPECTED['mxnet'] == '1.9.1'
    arrays = read_ndarray_list(ASSETS / name)
    assert list(arrays) == list(EXPECTED[name])
    for key, wanted in EXPECTED[name].items():
        assert str(arrays[key].dtype) == wanted['dtype']
        assert list(arrays[key].shape) == wanted['shape']
        np.testing.assert_array_equal(arrays[key].ravel(), np.array(wanted['values']))


@pytest.mark.parametrize('name', FILES)
def test_read_ndarray_list__cut_off_anywhere(name, tmp_path):
    whole = (ASSETS / name).read_bytes()
    path = tmp_path / 'cut.params'
    for size in range(1, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r'at byte \d+ of'):
            read_ndarray_list(path)


def damaged(offset: int, value: bytes) -> bytes:
    whole = bytearray((ASSETS / 'mxnet_written.params').read_bytes())
    whole[offset : offset + len(value)] = value
    return bytes(whole)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (damaged(0, b'PK'), r'at byte 0 of \d+: found .*, expected the magic 0x112'),
        (damaged(16, b'\xff' * 8), r'at byte 16 .* as the number of arrays'),
        (damaged(24, b'\xff' * 4), r'at byte 24 .* axes'),
        (damaged(28, b'\x01'), r'at byte 28 .*storage type 1, expected 0'),
        (damaged(36, b'\xff' * 8), r'at byte 24 .*shape'),
        (damaged(76, b'\x63'), r'at byte 76 .*type code 99'),
        ((ASSETS / 'mxnet_written.params').read_bytes() + b'x', '1 surplus bytes'),
        (b'', 'the file is empty'),
    ],
)
def test_read_ndarray_list__damage_is_located(content, message, tmp_path):
    path = tmp_path / 'damaged.params'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_ndarray_list(path)


def test_read_ndarray_list__missing_file(tmp_path):
    with pytest.raises(CheckpointError, match='no such file'):
        read_ndarray_list(tmp_path / 'nothing.params')


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        ('arg:conv1a_weight', 'conv1a.weight'),
        ('res2a_branch1_weight', 'b2.conv_branch1.weight'),
        ('arg:res4b5_branch2b1_weight', 'b4_5.conv_branch2b1.weight'),
        ('arg:bn2b1_branch2a_gamma', 'b2_1.bn_branch2a.weight'),
        ('bn6a_branch2b2_beta', 'b6.bn_branch2b2.bias'),
        ('aux:bn5b2_branch2b1_moving_mean', 'b5_2.bn_branch2b1.running_mean'),
        ('aux:bn7_moving_var', 'bn7.running_var'),
        ('arg:linear1000_weight', None),
    ],
)
def test_resnet38d_name__map(theirs, ours):
    assert resnet38d_name(theirs) == ours


def test_resnet38d_name__refuses():
    with pytest.raises(CheckpointError, match="'stage1_conv_weight' is not a name"):
        resnet38d_name('arg:stage1_conv_weight'.removeprefix('arg:'))


def published_name(ours: str) -> str:
    """The inverse map, written here on its own."""
    module, suffix = ours.rsplit('.', 1)
    norm = 'bn' in module
    suffix = {
        'weight': 'gamma' if norm else 'weight',
        'bias': 'beta',
        'running_mean': 'moving_mean',
        'running_var': 'moving_var',
    }[suffix]
    prefix = 'aux:' if suffix.startswith('moving') else 'arg:'
    if '.' not in module:
        return f'{prefix}{module}_{suffix}'
    block, layer = module.split('.')
    stage, _, index = block[1:].partition('_')
    place = f'{stage}b{index}' if index else f'{stage}a'
    kind, branch = layer.split('_')
    return f'{prefix}{"bn" if kind == "bn" else "res"}{place}_{branch}_{suffix}'


class Small(ResNet38d):
    """The names of ResNet38d with one number per tensor, so that a test need not write 400 MB."""

    def state_dict(self, *args, **kwargs):
        state = super().state_dict(*args, **kwargs)
        return {k: v.flatten()[:1] if v.dim() else v for k, v in state.items()}


@pytest.fixture
def arrays(monkeypatch) -> dict[str, np.ndarray]:
    monkeypatch.setattr('arml.models.backbones.resnet38.ResNet38d', Small)
    with torch.device('meta'):
        names = [name for name in Small().state_dict() if not name.endswith('tracked')]
    arrays = {
        published_name(name): np.array([index], np.float32) for index, name in enumerate(names)
    }
    return {**arrays, 'arg:linear1000_weight': np.zeros((1000, 4096), np.float32)[:2]}


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_convert__fills_every_tensor_but_the_classifier(arrays, suffix, tmp_path):
    source, target = tmp_path / 'published.params', tmp_path / f'resnet38d{suffix}'
    write(source, arrays)
    report = convert(source, target, sha256(source).upper())
    assert (report.source_sha256, report.target_sha256) == (sha256(source), sha256(target))
    assert report.tensors == report.values == len(arrays) - 1
    state = read_weights(target)
    assert set(state) == {n for n in Small().state_dict() if not n.endswith('tracked')}
    for ours, value in state.items():
        assert value.item() == arrays[published_name(ours)].item()


def test_convert__checksum(arrays, tmp_path):
    write(tmp_path / 'a.params', arrays)
    with pytest.raises(CheckpointError, match='has SHA-256 .* expected 00ff'):
        convert(tmp_path / 'a.params', tmp_path / 'a.pth', '00FF')
    assert not (tmp_path / 'a.pth').exists()


def test_convert__other_suffix(arrays, tmp_path):
    write(tmp_path / 'a.params', arrays)
    with pytest.raises(CheckpointError, match='ends in .pth or .safetensors'):
        convert(tmp_path / 'a.params', tmp_path / 'a.npz')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'aux:bn7_moving_var': None}, '1 missing or unusable: bn7.running_var'),
        ({'arg:res2b7_branch2a_weight': [1.0]}, r'unexpected: .* \(would be b2_7.conv_branch2a'),
        ({'arg:conv1a_weight': [1.0, 2.0]}, r'conv1a_weight: shape \(2,\), expected \(1,\)'),
        ({'arg:conv1a_weight': [np.nan]}, 'values that are not finite'),
    ],
)
def test_resnet38d_state_dict__refuses(arrays, change, message):
    for name, value in change.items():
        if value is None:
            del arrays[name]
        else:
            arrays[name] = np.array(value, np.float32)
    with pytest.raises(CheckpointError, match=message):
        weights_mxnet.resnet38d_state_dict(arrays)


def test_tool__converts_and_prints_hashes(arrays, tmp_path, capsys):
    import runpy

    tool = runpy.run_path(str(ASSETS.parents[1] / 'tools/model_converters/resnet38d.py'))
    source, target = tmp_path / 'a.params', tmp_path / 'a.safetensors'
    write(source, arrays)
    assert tool['main']([str(source), str(target)]) == 0
    printed = capsys.readouterr().out
    assert sha256(source) in printed
    assert sha256(target) in printed


@pytest.mark.slow
def test_convert__full_size(tmp_path):
    network = ResNet38d()
    arrays = {
        published_name(name): value.numpy()
        for name, value in network.state_dict().items()
        if not name.endswith('tracked')
    }
    write(tmp_path / 'a.params', arrays)
    report = convert(tmp_path / 'a.params', tmp_path / 'a.pth')
    buffers = sum(b.numel() for b in network.buffers() if b.dim())
    assert report.values == 105_070_912 + buffers
    filled = ResNet38d(init_cfg={'type': 'Pretrained', 'checkpoint': str(tmp_path / 'a.pth')})
    filled.init_weights()
    for name, value in network.state_dict().items():
        assert torch.equal(filled.state_dict()[name], value)
