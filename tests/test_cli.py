"""Errors of the command-line tools."""

import pytest

from arml.cli import run_tool
from arml.errors import DataError


def test_run_tool__passes_the_status_on():
    assert run_tool(lambda: None) == 0
    assert run_tool(lambda: 1) == 1


def test_run_tool__explained_error_has_no_traceback(capsys):
    def main() -> int:
        raise DataError('train/x.png: cannot be read')

    assert run_tool(main) == 2
    captured = capsys.readouterr()
    assert captured.err == 'error: train/x.png: cannot be read\n'
    assert captured.out == ''


def test_run_tool__interrupt(capsys):
    def main() -> int:
        raise KeyboardInterrupt

    assert run_tool(main) == 130
    assert 'interrupted' in capsys.readouterr().err


def test_run_tool__program_faults_stay_visible():
    def main() -> int:
        raise RuntimeError('fault')

    with pytest.raises(RuntimeError, match='fault'):
        run_tool(main)
