"""A work dir has one process at a time."""

import multiprocessing
import time

import pytest

from arml.errors import ArmlError
from arml.pipeline.alone import alone_in


def _hold(folder, held, seconds):
    with alone_in(folder, print):
        held.set()
        time.sleep(seconds)


def test_alone_in__waits_for_the_process_that_is_there_and_says_so(tmp_path):
    fork = multiprocessing.get_context('fork')
    held = fork.Event()
    other = fork.Process(target=_hold, args=(tmp_path / 'work', held, 0.7))
    other.start()
    assert held.wait(30)
    said = []
    begun = time.monotonic()
    with alone_in(tmp_path / 'work', said.append) as waited:
        assert waited
        assert time.monotonic() - begun > 0.3
    other.join(30)
    (text,) = said
    assert text == f'work dir {tmp_path / "work"}: another process runs in it; waiting for that one'


def test_alone_in__is_free_after_a_killed_process(tmp_path):
    fork = multiprocessing.get_context('fork')
    held = fork.Event()
    other = fork.Process(target=_hold, args=(tmp_path, held, 60))
    other.start()
    assert held.wait(30)
    other.kill()
    other.join(30)
    with alone_in(tmp_path, pytest.fail) as waited:
        assert not waited


def test_alone_in__raises(tmp_path):
    (tmp_path / 'file').touch()
    with (
        pytest.raises(ArmlError, match=r'cannot write .*run\.lock'),
        alone_in(tmp_path / 'file', print),
    ):
        pass
