"""Run what a W&B agent was told to run, and note what it was and how it ended: ``agent_cell.py FOLDER PROGRAM ARGS``.

W&B does not tell us how a run ended, and a training may die before it has a work dir. In ``FOLDER/<sweep>/<run>``, by
W&B's ids, lie then ``note.json``, the output, and a lock that is held for as long as this process lives.

Only Python's own library, and started with ``-I``: modules beside this file have names of Python's.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

NOTE, LOG, LOCK = 'note.json', 'log.txt', 'agent.lock'
#: Program that becomes another one which dies with its parent.
BOOTSTRAP = str(Path(__file__).with_name('child.py'))


def main(folder: str, command: list[str]) -> int:
    """Run a Python program; its exit status as a shell has it.

    Args:
        folder: Where the notes of all runs lie.
        command: Program and arguments.
    """
    place = Path(folder, os.environ['WANDB_SWEEP_ID'], os.environ['WANDB_RUN_ID'])
    place.mkdir(parents=True, exist_ok=True)
    asked: list[int] = []  # signals: W&B ends the run early, or whoever started the agent stops it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: asked.append(number))
    note = {'words': command[1:], 'host': socket.gethostname()}
    with (place / LOCK).open('w') as lock, (place / LOG).open('a', encoding='utf-8') as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write(place / NOTE, note)
        print(f'the output of this run goes to {place / LOG}', flush=True)
        process = subprocess.Popen(
            [sys.executable, '-I', BOOTSTRAP, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        status, told = None, False
        while status is None:
            try:
                status = process.wait(0.2)
            except subprocess.TimeoutExpired:
                if asked and not told:
                    told = True
                    process.terminate()
        write(place / NOTE, {**note, 'exit': status, 'asked': asked[0] if asked else None})
    if asked:  # the agent counts an exit status as a failure, and gives up after a few
        signal.signal(asked[0], signal.SIG_DFL)
        os.kill(os.getpid(), asked[0])
    return status if status >= 0 else 128 - status


def write(file: Path, content: dict) -> None:
    """Replace a file whole."""
    new = file.with_suffix('.new')
    new.write_text(json.dumps(content), encoding='utf-8')
    new.replace(file)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
