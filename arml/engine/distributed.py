"""Start of distributed processes, also where there is no GPU."""

import os

import torch
import torch.distributed as dist


def init(launcher: str) -> None:
    """Join the process group that ``torchrun``, Slurm or MPI started this process for.

    mmengine's own start calls ``torch.cuda.set_device`` whatever the machine; on a machine without
    a GPU the ``gloo`` group is made here first, and mmengine finds it made.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``, as in mmseg's tools.
    """
    if launcher == 'none' or dist.is_initialized() or torch.cuda.is_available():
        return
    if launcher == 'pytorch':
        dist.init_process_group('gloo')
    elif launcher == 'slurm':
        os.environ.setdefault('MASTER_PORT', '29500')
        os.environ.setdefault(
            'MASTER_ADDR', os.environ.get('SLURM_LAUNCH_NODE_IPADDR', '127.0.0.1')
        )
        rank, size = os.environ['SLURM_PROCID'], os.environ['SLURM_NTASKS']
        os.environ.update(RANK=rank, WORLD_SIZE=size, LOCAL_RANK=os.environ['SLURM_LOCALID'])
        dist.init_process_group('gloo')
    else:
        rank, size = (
            os.environ['OMPI_COMM_WORLD_RANK'],
            os.environ['OMPI_COMM_WORLD_SIZE'],
        )
        os.environ.setdefault('MASTER_PORT', '29500')
        os.environ.update(RANK=rank, WORLD_SIZE=size)
        dist.init_process_group('gloo')
