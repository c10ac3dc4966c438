"""Start of distributed processes, also where there is no GPU."""

import os
from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import init_dist

from arml.errors import ConfigError

#: What each launcher tells its processes, and the command that does.
VARIABLES = {
    'pytorch': (('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'), 'torchrun'),
    'slurm': (('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'), 'srun'),
    'mpi': (
        ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
        'mpirun',
    ),
}


def init(launcher: str) -> None:
    """Join the process group that ``torchrun``, Slurm or MPI started this process for.

    All stages ask for rank and barriers before the first Runner exists, so it is joined here, once.
    mmengine's own start calls ``torch.cuda.set_device`` whatever the machine; on a machine without
    a GPU the ``gloo`` group is made here, and mmengine finds it made.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``, as in mmseg's tools.

    Raises:
        ConfigError: If the launcher is unknown, did not start this process, started more processes
            on a machine than it has GPUs, or no group could be joined.
    """
    if launcher == 'none' or dist.is_initialized():
        return
    if launcher not in VARIABLES:
        raise ConfigError(f'--launcher: found {launcher!r}, expected none, {", ".join(VARIABLES)}.')
    needed, command = VARIABLES[launcher]
    absent = [name for name in needed if name not in os.environ]
    if absent:
        raise ConfigError(
            f'--launcher {launcher}: {", ".join(absent)} not set in the environment, so this process '
            f'was not started by {command}. Start it through {command} '
            '(for example torchrun --nproc_per_node=2 tools/train.py CONFIG --launcher pytorch), '
            'or leave --launcher out.'
        )
    try:
        (_init_nccl if torch.cuda.is_available() else _init_gloo)(launcher)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f'--launcher {launcher}: the processes could not join ({error}). Each of them must be '
            'started with the same command, and MASTER_ADDR:MASTER_PORT must be free.'
        ) from error
    if not dist.is_initialized():
        raise ConfigError(f'--launcher {launcher}: no process group was made.')


def _init_nccl(launcher: str) -> None:
    local = int(os.environ[VARIABLES[launcher][0][2]])
    if local >= torch.cuda.device_count():
        raise ConfigError(
            f'--launcher {launcher}: process {local} of this machine has no GPU of its own; there are '
            f'{torch.cuda.device_count()}. Start at most one process a GPU.'
        )
    init_dist(launcher, backend='nccl')


def _init_gloo(launcher: str) -> None:
    if launcher != 'pytorch':
        rank, size, local = (os.environ[name] for name in VARIABLES[launcher][0])
        address = os.environ.get('SLURM_LAUNCH_NODE_IPADDR', '127.0.0.1')
        os.environ.setdefault('MASTER_ADDR', address)
        os.environ.setdefault('MASTER_PORT', '29500')
        os.environ.update(RANK=rank, WORLD_SIZE=size, LOCAL_RANK=local)
    dist.init_process_group('gloo')


def wrap_for_machine(settings: dict[str, Any]) -> None:
    """Have a Runner's model wrapped for the machine; in place.

    mmengine hands the local rank to the wrapper as its GPU, whatever the machine. Without a GPU the
    wrapper is told that there is none, whichever class the config names.
    """
    if dist.is_initialized() and not torch.cuda.is_available():
        given = settings.get('model_wrapper_cfg') or {}
        settings['model_wrapper_cfg'] = {
            'type': 'MMDistributedDataParallel',
            **given,
            'device_ids': None,
        }
