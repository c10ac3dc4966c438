"""Progress of long work."""

import pytest

from arml import progress
from arml.progress import Progress, duration


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [
        (0, '0.0 s'), (4.24, '4.2 s'), (59.9, '59.9 s'), (60, '1 min 00 s'), (200.7, '3 min 20 s'),
        (3599, '59 min 59 s'), (3600, '1 h 00 min'), (3725, '1 h 02 min'),
        (float('inf'), 'unknown time'),
    ],
)  # fmt: skip
def test_progress__duration(seconds, text):
    assert duration(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, 'monotonic', lambda: Clock.now)
    return Clock


def test_progress__says_every_few_seconds_and_at_the_end(clock, capsys):
    work = Progress('masks', 40, every=5)
    for _ in range(4):
        clock.now += 3
        work.add(10)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        'masks: 20/40, 3.3 a second, 6.0 s left',
        'masks: 40/40, 3.3 a second, 12.0 s taken',
    ]


def test_progress__what_was_done_before_does_not_count_for_the_speed(clock, capsys):
    work = Progress('masks', 100, done=80, every=0)
    clock.now += 10
    work.add(10)
    assert capsys.readouterr().err == 'masks: 90/100, 1.0 a second, 10.0 s left\n'


def test_progress__slow_items_have_a_time_each(clock, capsys):
    work = Progress('measurements', 12, every=0)
    clock.now += 150
    work.add(2)
    clock.now += 9
    work.add(0)
    assert capsys.readouterr().err.splitlines() == [
        'measurements: 2/12, 1 min 15 s each, 12 min 30 s left',
        'measurements: 2/12, 1 min 19 s each, 13 min 15 s left',
    ]


def test_progress__goes_to_standard_error(clock, capsys):
    clock.now += 1
    Progress('x', 1).add()
    assert capsys.readouterr().out == ''
