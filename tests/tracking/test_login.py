"""No account, at a terminal, where W&B would ask for one and wait for ever."""

import contextlib
import os
import pty
import subprocess
import sys
import time

from conftest import ROOT

PROGRAM = """
from pathlib import Path
from arml.ablation import Sweep
from arml.ablation.wandb_engine import ARGUMENTS, register
from arml.errors import ArmlError
from arml.tracking import RunInfo, follow
here = Path.cwd()
with follow([{'type': 'arml.WandbVisBackend'}], RunInfo(here, 'run1', 'name'), print) as run:
    run.begin_stage('segmentor', here)
print('the training went on', flush=True)
content = {'command': ['python', '${program}', 'config.py', ARGUMENTS]}
try:
    register(Sweep(name='x', path=here, config=here, program=here, content=content), here)
except ArmlError as error:
    print(error)
"""


def at_a_terminal(program, folder, seconds=300):
    """What a program says at a terminal at which nobody sits, and its exit status."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith('WANDB_') and k != 'NETRC'}
    variables.update(
        HOME=str(folder), PYTHONPATH=str(ROOT), WANDB_BASE_URL='http://127.0.0.1:9', TERM='xterm',
        OMP_NUM_THREADS='1',
    )  # fmt: skip
    ours, theirs = pty.openpty()
    command = [sys.executable, '-c', program]
    streams = dict.fromkeys(('stdin', 'stdout', 'stderr'), theirs)
    with subprocess.Popen(command, cwd=folder, env=variables, **streams) as process:
        os.close(theirs)
        said, end = b'', time.monotonic() + seconds
        os.set_blocking(ours, False)
        try:
            while process.poll() is None and b'Enter your choice' not in said:
                assert time.monotonic() < end, said
                with contextlib.suppress(BlockingIOError, OSError):  # nothing yet; its end
                    said += os.read(ours, 10000)
                time.sleep(0.05)
        finally:
            process.kill()
        with contextlib.suppress(OSError):
            said += os.read(ours, 100000)
        os.close(ours)
    return ' '.join(said.decode().split()), process.returncode


def test_login__nobody_is_asked_for_a_key(tmp_path):
    """A training goes on without tracking; a sweep is not registered, which says why."""
    said, status = at_a_terminal(PROGRAM, tmp_path)
    assert status == 0, said
    training, _, sweep = said.partition('the training went on')
    assert training.count('W&B tracking is off from here, the training goes on. begin:') == 1
    assert 'No API key configured. Use `wandb login` to log in.' in training
    assert 'WANDB_MODE=offline needs no server' in training
    assert 'W&B does not take it: UsageError: No API key configured' in sweep
    assert 'an account (wandb login)' in sweep
