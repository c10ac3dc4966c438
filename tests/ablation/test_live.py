"""How far a sweep is, in words and at a terminal."""

import io

from arml.ablation import live
from arml.ablation.live import Standing, View


def test_standing__in_a_line():
    standing = Standing(
        finished=3, failed=1, running=2, pruned=4, total=18, best=('omega=3', 52.613)
    )
    assert standing.ended == 8
    assert standing.line(75) == (
        '8/18 cells, 3 finished, 2 running, 4 pruned, 1 failed, about 1 min 15 s left, best 52.61 (omega=3)'
    )
    assert Standing(finished=0, failed=0, running=1).line() == '0 cells, 0 finished, 1 running'


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
    line = 'omega: 1/18 cells, 1 finishe'
    assert terminal.getvalue() == f'{line}.\r\x1b[K{line}.\r\x1b[K'.replace('.', 'd')


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
