"""Checkpoints: nothing in them is executed, whole or refused, written whole or not at all."""

import errno
import os
import pickle
import resource
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint
from torch import nn

from arml.engine import checkpoint as checkpoints
from arml.errors import ArmlError, CheckpointError


class Payload:
    """Code that runs when it is unpickled without restriction."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


class ByGetattr:
    """The same by way of getattr, which mmengine's loader allows."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return getattr, (self.marker, 'touch')


@pytest.fixture(params=[Payload, ByGetattr], ids=['system', 'getattr'])
def armed(request, tmp_path):
    """A checkpoint with code in it, and the file that the code would leave."""
    marker = tmp_path / 'executed'
    path = tmp_path / 'armed.pth'
    torch.save({'state_dict': {}, 'meta': {'epoch': 1}, 'x': request.param(marker)}, path)
    return path, marker


@pytest.mark.parametrize(
    'read',
    [
        checkpoints.load,
        CheckpointLoader.load_checkpoint,
        lambda path: load_checkpoint(nn.Linear(1, 1), str(path)),
        lambda path: Initialised(str(path)).init_weights(),
    ],
    ids=['load', 'mmengine loader', 'mmengine load_checkpoint', 'init_cfg'],
)
def test_checkpoint__code_is_refused_not_executed(armed, read):
    path, marker = armed
    with pytest.raises(CheckpointError, match=r'armed\.pth: refused, .*never loaded'):
        read(str(path))
    assert not marker.exists()


class Initialised(BaseModule):
    def __init__(self, path: str) -> None:
        super().__init__(init_cfg={'type': 'Pretrained', 'checkpoint': path})
        self.layer = nn.Linear(1, 1)


def test_checkpoint__the_payload_would_have_worked(tmp_path):
    marker = tmp_path / 'executed'
    pickle.loads(pickle.dumps(Payload(marker)))  # noqa: S301
    assert marker.exists()


def test_checkpoint__plain_pickle_is_refused(tmp_path):
    marker, path = tmp_path / 'executed', tmp_path / 'plain.pth'
    path.write_bytes(pickle.dumps({'state_dict': {}, 'x': Payload(marker)}))
    with pytest.raises(CheckpointError, match=r'plain\.pth'):
        checkpoints.load(path)
    assert not marker.exists()


def test_checkpoint__missing(tmp_path):
    for path in (tmp_path / 'none.pth', tmp_path):
        with pytest.raises(CheckpointError, match='no such file'):
            checkpoints.load(path)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('length', [0, 10, 0.5, 0.99])
def test_checkpoint__cut_off(tmp_path, suffix, length):
    path = tmp_path / f'cut{suffix}'
    state = {'weight': torch.ones(400)}
    if suffix == '.pth':
        checkpoints.save({'state_dict': state}, path)
    else:
        from safetensors.torch import save_file

        save_file(state, path)
        assert checkpoints.load(path)['state_dict']['weight'].sum() == 400
    whole = path.read_bytes()
    path.write_bytes(whole[: length if isinstance(length, int) else int(length * len(whole))])
    with pytest.raises(CheckpointError, match=rf'cut{suffix}: .*'):
        checkpoints.load(path)


def test_checkpoint__other_files(tmp_path):
    path = tmp_path / 'note.pth'
    path.write_text('hello, I am a text file\n')
    with pytest.raises(CheckpointError, match=r'note\.pth'):
        checkpoints.load(path)
    torch.save([torch.ones(1)], path)
    with pytest.raises(CheckpointError, match='expected a dictionary, found list'):
        checkpoints.load(path)


def test_checkpoint__another_architecture_is_refused_whole(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = model.state_dict()
    state['0.weight'] = torch.zeros(3, 5)
    state['0.bias'] = torch.full((3,), 9.0)
    state['extra'] = state.pop('1.weight')
    with pytest.raises(CheckpointError, match='(?s)x.pth is of another architecture') as caught:
        checkpoints.load_into(model, {'state_dict': state}, 'x.pth')
    message = str(caught.value)
    assert '1 missing: 1.weight' in message
    assert '1 surplus: extra' in message
    assert '0.weight (3, 5) instead of (3, 2)' in message
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('content', [{'a': 1}, {'state_dict': [1]}, {'state_dict': None}, {}])
def test_checkpoint__without_parameters(content):
    with pytest.raises(CheckpointError, match='another architecture|holds no parameters'):
        checkpoints.load_into(nn.Linear(1, 1), content, 'x.pth')


def test_checkpoint__prefix_of_a_distributed_wrapper():
    model, donor = nn.Linear(2, 1), nn.Linear(2, 1)
    state = OrderedDict((f'module.{key}', value) for key, value in donor.state_dict().items())
    checkpoints.load_into(model, {'state_dict': state}, 'x')
    assert torch.equal(model.weight, donor.weight)


def test_checkpoint__history_comes_back_the_same(tmp_path):
    buffer = HistoryBuffer([0.1, 1 / 3, float('inf')], [1, 2, 4], max_length=5)
    path = tmp_path / 'x.pth'
    checkpoints.save({'scalars': checkpoints.pack_history({'loss': buffer})}, path)
    again = checkpoints.unpack_history(checkpoints.load(path)['scalars'])['loss']
    for one, two in zip(buffer.data, again.data, strict=True):
        assert one.tolist() == two.tolist()
    assert again.max_length == 5
    again.update(3.0, 2)
    assert again.current() == 3.0


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
def test_checkpoint__full_disk_keeps_the_old_file(tmp_path, monkeypatch, number):
    path = tmp_path / 'epoch_1.pth'
    checkpoints.save({'a': 1}, path)

    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(ArmlError, match=r'epoch_1\.pth: the disk is full.*--resume'):
        checkpoints.save({'a': 2}, path)
    monkeypatch.undo()
    assert checkpoints.load(path) == {'a': 1}
    assert os.listdir(tmp_path) == ['epoch_1.pth']


def test_checkpoint__torch_runs_into_the_end_of_the_disk(tmp_path):
    """Files of this process may have 20 kB, so torch's own writer fails in the middle."""
    path = tmp_path / 'x.pth'
    checkpoints.save({'a': 1}, path)
    program = (
        'import resource, sys, torch\n'
        'from arml.engine.checkpoint import save\n'
        'from arml.errors import ArmlError\n'
        f'resource.setrlimit(resource.RLIMIT_FSIZE, (20000, {resource.RLIM_INFINITY}))\n'
        'try:\n'
        f'    save({{"a": torch.ones(100000)}}, {str(path)!r})\n'
        'except ArmlError as error:\n'
        '    sys.exit(f"explained: {error}")\n'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert 'explained: cannot write' in done.stderr
    assert 'x.pth' in done.stderr
    assert checkpoints.load(path) == {'a': 1}
    assert os.listdir(tmp_path) == ['x.pth']


def test_checkpoint__faults_of_the_program_are_not_called_a_full_disk(tmp_path):
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        checkpoints.save({'a': lambda: None}, tmp_path / 'x.pth')
    assert os.listdir(tmp_path) == []
