"""Forks of a warm process do as new interpreters do, but for the imports."""

import json
import os
import signal
import sys
import threading
import time

import pytest
from sweep_place import alive, kill, wait_until

from arml.ablation.process import end, run_process, start_fresh
from arml.ablation.warm import Warm
from arml.errors import ArmlError

PROGRAM = """
import atexit, json, os, signal, sys, threading, time
if 'torch' in sys.modules: print('torch was there')
import beside
found = {
    'argv': sys.argv, 'name': __name__, 'cwd': os.getcwd(), 'input': sys.stdin.read(), 'beside': beside.X,
    'environment': dict(os.environ), 'leads': os.getpid() == os.getsid(0), 'file': __file__,
}
if sys.argv[1] == 'tell': print(json.dumps(found))
atexit.register(print, 'at the end')
threading.Timer(0.1, print, ['a thread']).start()
if sys.argv[1] == 'exit': sys.exit(int(sys.argv[2]))
if sys.argv[1] == 'words': sys.exit('some words')
if sys.argv[1] == 'raise': raise ValueError('as asked')
if sys.argv[1] == 'die': os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == 'sleep':
    print('ready', flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope='module')
def warm(tmp_path_factory):
    """One warm process for all tests; its imports take seconds."""
    found = Warm(tmp_path_factory.mktemp('warm') / 'warm.txt', dict(os.environ))
    yield found
    found.close()


@pytest.fixture
def program(tmp_path):
    (tmp_path / 'programs').mkdir()
    (tmp_path / 'programs' / 'beside.py').write_text('X = 7')
    file = tmp_path / 'programs' / 'program.py'
    file.write_text(PROGRAM)
    return str(file)


def run(start, program, *words, log, environment=None):
    environment = {**os.environ, **(environment or {})}
    status = run_process([program, *words], log, environment, threading.Event(), start=start)
    return status, log.read_text()


def test_warm__program_is_as_in_a_new_interpreter(warm, program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = {}
    for name, start in (('warm', warm.start), ('fresh', start_fresh)):
        status, text = run(
            start,
            program,
            'tell',
            'a=1',
            log=tmp_path / f'{name}.txt',
            environment={'ONLY_HERE': name},
        )
        assert status == 0, text
        lines = text.splitlines()
        assert (lines[0] == 'torch was there') == (name == 'warm')
        assert lines[-2:] == ['a thread', 'at the end']
        told[name] = json.loads(lines[-3])
        assert told[name]['environment'].pop('ONLY_HERE') == name
    del told['warm']['environment']['PYTORCH_NVML_BASED_CUDA_CHECK']
    assert told['warm'] == told['fresh']
    assert told['warm']['argv'] == [program, 'tell', 'a=1']
    assert told['warm']['leads']


@pytest.mark.parametrize(
    ('words', 'status', 'said'),
    [
        (['exit', '0'], 0, ''),
        (['exit', '3'], 3, ''),
        (['words'], 1, 'some words'),
        (['raise'], 1, 'ValueError: as asked'),
        (['die'], -signal.SIGKILL, ''),
    ],
)
def test_warm__exit_status_and_output(warm, program, tmp_path, words, status, said):
    log = tmp_path / 'log.txt'
    log.write_text('what was there\n')
    found, text = run(warm.start, program, *words, log=log)
    assert found == status
    assert text.startswith('what was there\n')
    assert said in text
    if status >= 0:
        assert text.endswith('a thread\nat the end\n')


def test_warm__a_fork_is_ended_as_a_process_is(warm, program, tmp_path):
    log = tmp_path / 'log.txt'
    process = warm.start([program, 'sleep'], log, os.environ)
    wait_until(lambda: log.is_file() and 'ready' in log.read_text())
    assert process.poll() is None
    end(process)
    assert process.returncode == -signal.SIGTERM
    assert not alive(process.pid)
    begun = time.monotonic()
    assert run(warm.start, program, 'exit', '4', log=log)[0] == 4
    assert time.monotonic() - begun < 20


@pytest.mark.skipif(sys.platform != 'linux', reason='a wish to the Linux kernel')
def test_warm__forks_die_with_it_and_the_next_one_is_started(warm, program, tmp_path):
    log = tmp_path / 'log.txt'
    process = warm.start([program, 'sleep'], log, os.environ)
    wait_until(lambda: log.is_file() and 'ready' in log.read_text())
    kill(warm._process.pid)
    assert process.wait(30) == -signal.SIGKILL
    wait_until(lambda: not alive(process.pid))
    assert run(warm.start, program, 'exit', '5', log=log)[0] == 5


def test_warm__says_what_it_cannot_import(program, tmp_path):
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'mmseg.py').write_text("raise ImportError('as asked')")
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path / 'broken')}
    broken = Warm(tmp_path / 'warm.txt', environment)
    with pytest.raises(ArmlError, match=r'cannot import what cells need: .*as asked.*warm\.txt'):
        broken.start([program, 'tell'], tmp_path / 'log.txt', environment)
