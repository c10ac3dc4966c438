"""Joining the process group: refused in words where nothing started the processes."""

import pytest
import torch

from arml.engine import distributed
from arml.errors import ConfigError

NAMES = [name for needed, _ in distributed.VARIABLES.values() for name in needed]


@pytest.fixture
def bare(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ('launcher', 'variable', 'command'),
    [('pytorch', 'RANK', 'torchrun'), ('slurm', 'SLURM_PROCID', 'srun'),
     ('mpi', 'OMPI_COMM_WORLD_RANK', 'mpirun')],
)  # fmt: skip
@pytest.mark.parametrize('gpu', [False, True])
def test_init__not_started_by_the_launcher(bare, launcher, variable, command, gpu):
    bare.setattr(torch.cuda, 'is_available', lambda: gpu)
    with pytest.raises(ConfigError, match=f'{variable}.* not set.*Start it through {command}'):
        distributed.init(launcher)


def test_init__none_and_unknown(bare):
    distributed.init('none')
    with pytest.raises(ConfigError, match="--launcher: found 'ssh', expected none, pytorch"):
        distributed.init('ssh')


def _as_if_started(monkeypatch, gpus: int, local: int = 0):
    for name in distributed.VARIABLES['pytorch'][0]:
        monkeypatch.setenv(name, '0')
    monkeypatch.setenv('LOCAL_RANK', str(local))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)


def test_init__joins_on_gpus_before_any_runner(bare):
    _as_if_started(bare, gpus=1)
    joined = []
    bare.setattr(distributed, 'init_dist', lambda *args, **kwargs: joined.append((args, kwargs)))
    bare.setattr(distributed.dist, 'is_initialized', lambda: bool(joined))
    distributed.init('pytorch')
    assert joined == [(('pytorch',), {'backend': 'nccl'})]


def test_init__nothing_joined_is_an_error(bare):
    _as_if_started(bare, gpus=1)
    bare.setattr(distributed, 'init_dist', lambda *_, **__: None)
    with pytest.raises(ConfigError, match='no process group was made'):
        distributed.init('pytorch')


def test_init__more_processes_than_gpus(bare):
    _as_if_started(bare, gpus=2, local=2)
    with pytest.raises(ConfigError, match='process 2 of this machine has no GPU .* there are 2'):
        distributed.init('pytorch')


def test_init__failure_of_the_group_is_explained(bare):
    _as_if_started(bare, gpus=1)

    def fail(*_, **__):
        raise RuntimeError('address in use')

    bare.setattr(distributed, 'init_dist', fail)
    with pytest.raises(ConfigError, match=r'could not join \(address in use\)'):
        distributed.init('pytorch')


def test_wrapper__knows_no_gpu_where_there_is_none(monkeypatch):
    settings = {'model_wrapper_cfg': {'find_unused_parameters': True}}
    distributed.wrap_for_machine(settings)
    assert settings == {'model_wrapper_cfg': {'find_unused_parameters': True}}  # one process
    monkeypatch.setattr(distributed.dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    distributed.wrap_for_machine(settings)
    assert settings['model_wrapper_cfg'] == {
        'type': 'MMDistributedDataParallel', 'find_unused_parameters': True, 'device_ids': None,
    }  # fmt: skip
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    on_gpu = {}
    distributed.wrap_for_machine(on_gpu)
    assert on_gpu == {}
