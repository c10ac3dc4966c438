"""A run whose wandb-core process is stopped: it lives and takes nothing. Prints the id of that process."""

import signal
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

if __name__ == '__main__':
    from killed_service import signal_service

    from arml.tracking import RunInfo, follow, session

    session.LAST_PATIENCE = 1
    backend = 'arml.WandbVisBackend'
    with follow([{'type': backend}], RunInfo(Path(sys.argv[1]), 'run1', 'stopped'), print) as run:
        print(*signal_service(signal.SIGSTOP), flush=True)
        for iteration in range(5000):  # a few hundred fill what lies between the two processes
            point = {f'segmentor/train/loss{n}': float(iteration) for n in range(8)}
            run.follower(backend).log({'segmentor/iter': iteration, **point}, 'segmentor')
    print('the training went on')
