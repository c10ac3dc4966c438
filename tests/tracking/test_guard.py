"""A call into a tracker never fails or hangs for the training."""

import threading
import time

import pytest

from arml.tracking.guard import Guard, within


def boom(text='server gone'):
    raise ConnectionError(text)


def test_guard__first_failure_is_said_once_and_is_the_last_call():
    said, calls = [], []
    guard = Guard('W&B', said.append, 'Try wandb sync.')
    assert guard('log', lambda x: x + 1, 1) == 2
    assert guard('log', boom) is None
    assert guard('log', calls.append, 1) is None
    assert (calls, guard.on) == ([], False)
    assert said == [
        'warning: W&B tracking is off from here, the training goes on. log: ConnectionError: server gone. '
        'Try wandb sync.'
    ]


def test_guard__an_empty_message_is_named_so():
    said = []
    Guard('W&B', said.append, '')('finish', boom, '')
    assert 'finish: ConnectionError: no reason given' in said[0]


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
def test_guard__a_wish_to_stop_is_no_failure(error):
    def stop():
        raise error

    with pytest.raises(error):
        Guard('W&B', print, '')('log', stop)


def test_guard__a_call_that_hangs_counts_as_failed():
    said, free = [], threading.Event()
    guard = Guard('W&B', said.append, '')
    began = time.monotonic()
    assert guard('use', lambda: free.wait(30), patience=0.1) is None
    assert time.monotonic() - began < 10
    free.set()
    assert (guard.on, 'TimeoutError: no answer in 0.1 s' in said[0]) == (False, True)


def test_within__raises():
    with pytest.raises(ConnectionError, match='server gone'):
        within(5, boom)
    with pytest.raises(TimeoutError, match=r'no answer in 0\.1 s'):
        within(0.1, time.sleep, 2)
    assert within(5, lambda a, b: a + b, 1, 2) == 3
