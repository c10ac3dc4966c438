"""The scripts for a cluster, under the shell that Slurm would start them with and the signals that it sends."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT
from sweep_place import wait_until

ARRAY = ROOT / 'tools' / 'slurm' / 'sweep_array.sbatch'
WORKER = ROOT / 'tools' / 'slurm' / 'worker.sh'
#: Stands for the interpreter: notes what it is started with, and how it is asked to end.
PYTHON = """#!{python} -IS
import os, signal, sys, time
def end(number, frame):
    print('TERM', flush=True)
    sys.exit(int(os.environ.get('ENDS_WITH', 143)))
signal.signal(signal.SIGTERM, end)
print(os.getpid(), *sys.argv[1:], flush=True)
if 'now' in sys.argv: sys.exit(1)
time.sleep(60)
"""

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='shell scripts')


@pytest.fixture
def slurm(tmp_path):
    """Start a script as Slurm does; its process, with the file of what it printed."""
    started = []
    for name, text in (
        ('python', PYTHON.format(python=sys.executable)),
        ('scontrol', f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexit ${{SCONTROL:-0}}\n'),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def start(script, *words, **environment):
        known = {
            'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'ARML_PYTHON': str(tmp_path / 'python'),
            'ARML_STORAGE': 'sqlite://', 'SLURM_SUBMIT_DIR': str(ROOT), 'SLURM_ARRAY_JOB_ID': '7',
            'SLURM_ARRAY_TASK_ID': '3', **environment,
        }  # fmt: skip
        with (tmp_path / 'said').open('w') as said:
            process = subprocess.Popen(
                ['bash', script, *words], env={k: v for k, v in known.items() if v is not None},
                cwd=ROOT if script == WORKER else tmp_path, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip
        started.append(process)
        return process

    start.said = lambda: (tmp_path / 'said').read_text().splitlines()
    start.requeued = lambda: (
        (tmp_path / 'asked').read_text() if (tmp_path / 'asked').is_file() else ''
    )
    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.mark.parametrize(
    ('number', 'environment', 'status', 'requeued'),
    [
        (signal.SIGUSR1, {}, 0, 'requeue 7_3\n'),  # the time limit is near
        (signal.SIGUSR1, {'SCONTROL': '1'}, 143, 'requeue 7_3\n'),  # and Slurm refuses
        (signal.SIGUSR1, {'ENDS_WITH': '0'}, 0, ''),  # and nothing was left to do
        (signal.SIGTERM, {}, 143, ''),  # scancel, preemption
    ],
)
def test_array__ends_its_worker_and_is_queued_again_for_the_time_limit_alone(
    slurm, number, environment, status, requeued
):
    process = slurm(ARRAY, 'x.yaml', '--cfg-options', 'a=b c', **environment)
    wait_until(slurm.said)
    assert slurm.said()[0].split(' ', 1)[1] == 'tools/sweep.py run x.yaml --cfg-options a=b c'
    os.kill(process.pid, number)
    assert process.wait(20) == status
    assert slurm.said()[1] == 'TERM'
    assert slurm.requeued() == requeued


def test_array__all_its_processes_are_asked_to_end_at_once(slurm):
    """As scancel does: the worker hears of it twice."""
    process = slurm(ARRAY, 'x.yaml')
    wait_until(slurm.said)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(20) == 143
    assert slurm.requeued() == ''


def test_array__ends_as_its_worker_does(slurm):
    assert slurm(ARRAY, 'now').wait(20) == 1
    assert slurm.requeued() == ''


def test_array__needs_a_database_and_a_place(slurm):
    assert slurm(ARRAY, 'x.yaml', ARML_STORAGE=None).wait(20) == 2
    assert slurm.said()[0].startswith('ARML_STORAGE is not set: ')
    assert slurm(ARRAY, 'x.yaml', SLURM_SUBMIT_DIR=None).wait(20) == 1
    assert 'start it with sbatch from the root of the repository' in slurm.said()[0]


def test_array__what_slurm_reads():
    """Its time limit must not come as TERM, which scancel sends too; Slurm queues preempted tasks again."""
    asked = [
        line.split()[1] for line in ARRAY.read_text().splitlines() if line.startswith('#SBATCH')
    ]
    assert '--signal=B:USR1@120' in asked
    assert '--requeue' in asked


def test_worker__is_the_tool_itself(slurm):
    process = slurm(WORKER, 'x.yaml', '--workers', '2')
    wait_until(slurm.said)
    assert slurm.said()[0] == f'{process.pid} tools/sweep.py run x.yaml --workers 2'
    process.terminate()
    assert process.wait(20) == 143
