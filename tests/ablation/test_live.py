"""How far a sweep is, in words and at a terminal."""

import io
from dataclasses import replace

import pytest
from conftest import ROOT

from arml.ablation import live
from arml.ablation.live import Standing, View, line_of

STANDING = Standing(
    finished=3, failed=1, running=2, pruned=4, total=18, best=('omega=3', 52.613)
)  # fmt: skip
#: The most that a line of the sweeps that are shipped has to say.
FULL = Standing(
    finished=103, failed=11, running=16, total=150, best=('model.swv.omega=3, deviation=released', 52.613)
)  # fmt: skip


def test_standing__in_a_line():
    assert STANDING.ended == 8
    facts = '3/18 finished, 2 running, 4 pruned, 1 failed, ~1 min 15 s left, best 52.61'
    assert line_of('omega', STANDING, 75, 200) == f'omega: {facts} (omega=3)'
    assert line_of('omega', Standing(finished=0, failed=0, running=1), None, 79) == (
        'omega: 0 finished, 1 running'
    )


@pytest.mark.parametrize(
    ('standing', 'left', 'line'),
    [
        (
            replace(STANDING, pruned=0), 75,
            'deviation…: 3/18 finished, 2 running, 1 failed, ~1 min 15 s left, best 52.61',
        ),
        (
            FULL, 36900,
            'deviat…: 103/150 finished, 16 running, 11 failed, ~10 h 15 min left, best 52.61',
        ),
        (
            replace(FULL, best=None), 36900,
            'deviations_segment…: 103/150 finished, 16 running, 11 failed, ~10 h 15 min left',
        ),
        (
            replace(STANDING, failed=0, pruned=0), None,
            'deviations_segmentor_tiny_synt…: 3/18 finished, 2 running, best 52.61 (omega=3)',
        ),
    ],
)  # fmt: skip
def test_line_of__the_longest_name_that_is_shipped_at_80_columns(standing, left, line):
    """Counts, time left and the best score are always there."""
    longest = max((file.stem for file in (ROOT / 'sweeps').glob('*.yaml')), key=len)
    found = line_of(longest, standing, left, 79)
    assert standing.facts(left) in found
    assert len(found) <= 79
    assert found == line


def test_left__counts_from_the_start_of_this_call(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(live.time, 'monotonic', lambda: now[0])
    view = View('omega', say=lambda text: None)
    assert view.left(Standing(finished=6, failed=0, running=0, total=12)) is None
    now[0] += 40
    assert view.left(Standing(finished=7, failed=1, running=0, total=12)) == 20 * 4
    assert view.left(Standing(finished=8, failed=0, running=0)) is None


def test_view__keeps_one_line_below_what_is_said(monkeypatch):
    monkeypatch.setattr(live, 'columns_of', lambda terminal: 30)
    terminal, said = io.StringIO(), []
    view = View('omega', say=said.append, terminal=terminal)
    assert view.live
    view.update(Standing(finished=1, failed=0, running=2, total=18))
    view.say('a finished')
    view.close()
    assert said == ['a finished']
    line = 'om…: 1/18 finished, 2 running'
    assert terminal.getvalue() == f'{line}\r\x1b[K{line}\r\x1b[K'


def test_view__without_a_terminal_says_events_only(capsys):
    view = View('omega', say=None)
    assert not view.live
    view.update(Standing(finished=1, failed=0, running=2, total=18))
    view.say('a finished')
    assert capsys.readouterr().err == '[arml] a finished\n'


def test_columns_of__something_that_is_no_terminal(tmp_path):
    with (tmp_path / 'file').open('w') as file:
        assert live.columns_of(file) == 80
    assert live.columns_of(io.StringIO()) == 80
