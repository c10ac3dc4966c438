"""Memory that a training frees stays with it."""

import os
import subprocess
import sys

import pytest

from arml.engine import allocator

#: Pages that are mapped anew when large blocks are taken and freed in turns.
PROGRAM = """
import resource, runpy, sys
done = runpy.run_path(sys.argv[1])['keep_freed_memory']()  # without torch, which takes seconds
def step():
    blocks = [bytearray(48 * 2**20) for _ in range(2)]
    for block in blocks:
        block[::4096] = bytes(len(block[::4096]))
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(int(done), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(**environment):
    found = subprocess.run(
        [sys.executable, '-c', PROGRAM, allocator.__file__], capture_output=True, text=True,
        check=True, env={**os.environ, **environment},
    )  # fmt: skip
    done, faults = found.stdout.split()
    return bool(int(done)), int(faults)


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='glibc is on Linux')
def test_keep_freed_memory__the_next_step_maps_nothing_anew():
    done, faults = run()
    if not done:
        pytest.skip('this C library is not glibc')
    untold, default = run(**{allocator.OFF: '1'})
    assert not untold
    assert default > 5 * 2 * 48 * 2**20 / 4096 / 2  # huge pages would halve it and more
    assert faults < default / 20


def test_keep_freed_memory__elsewhere_it_says_no(monkeypatch):
    monkeypatch.setattr(allocator.sys, 'platform', 'darwin')
    assert allocator.keep_freed_memory() is False
