"""tools/train.py whose wandb-core process is killed in the second iteration of the segmentor."""

import os
import signal
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]


def signal_service(number: int) -> list[int]:
    """Send a signal to the wandb-core of this process; its id."""
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        name, _, rest = stat.read_text().rpartition(') ')
        if 'wandb-core' in name and int(rest.split()[1]) == os.getpid():
            os.kill(int(stat.parent.name), number)
            found.append(int(stat.parent.name))
    return found


def kill_service() -> None:
    print('killed', len(signal_service(signal.SIGKILL)), flush=True)


if __name__ == '__main__':
    from arml.cli import run_tool
    from arml.startup import start
    from tools.train import main

    start()
    from tracked_run import at_iteration

    with at_iteration(1, kill_service):
        sys.exit(run_tool(lambda: main(sys.argv[1:])))
