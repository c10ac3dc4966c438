"""Errors of the command-line tools."""

import argparse
import logging
import re
import runpy
import sys
from pathlib import Path

import pytest

from arml.atomic import unwritable
from arml.cli import ADVICE_OUT, HelpFormatter, run_tool
from arml.errors import DataError

ROOT = Path(__file__).parents[1]
TOOLS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / 'tools').rglob('*.py'))


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


def test_run_tool__error_of_a_loading_process_is_shown_without_its_traceback(capsys):
    from torch.utils.data import DataLoader

    class Broken:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int):
            raise DataError('train/x.png: cannot be read.\nSecond line: yes')

    assert run_tool(lambda: list(DataLoader(Broken(), num_workers=1))) == 2
    assert capsys.readouterr().err == 'error: train/x.png: cannot be read.\nSecond line: yes\n'


def test_run_tool__full_disk_outside_our_own_writers(capsys):
    def main() -> int:
        raise OSError(28, 'No space left on device', 'logs/run.log')

    assert run_tool(main) == 2
    assert 'error: cannot write logs/run.log: the disk is full' in capsys.readouterr().err

    def denied() -> int:
        raise OSError(13, 'Permission denied', 'x')

    with pytest.raises(PermissionError):
        run_tool(denied)


def test_run_tool__full_disk_in_a_library_names_its_file(tmp_path, capsys):
    def main() -> int:
        with open('/dev/full', 'w') as config:
            config.write('x')

    assert run_tool(main) == 2
    assert 'cannot write /dev/full: the disk is full' in capsys.readouterr().err

    def logs() -> int:
        handler = logging.FileHandler(tmp_path / 'run.log')
        handler.baseFilename = str(tmp_path / 'run.log')
        raise OSError(28, 'No space left on device')

    assert run_tool(logs) == 2
    assert f'cannot write {tmp_path}/run.log: the disk is full' in capsys.readouterr().err


def test_run_tool__full_disk_without_a_file_lists_the_folders(tmp_path, monkeypatch, capsys):
    def main() -> int:
        raise OSError(28, 'No space left on device')

    monkeypatch.setenv('ARML_STORE', str(tmp_path / 'kept' / 'store'))
    (tmp_path / 'kept').mkdir()
    (tmp_path / 'out').mkdir()
    monkeypatch.setattr(
        sys, 'argv', ['x', 'c.py', '--work-dir', '/dev/shm/w', f'--out={tmp_path}/out']
    )
    assert run_tool(main) == 2
    error = capsys.readouterr().err
    assert re.match(
        r'error: cannot write a file: a disk is full \(\d+ MiB free in /dev/shm, ', error
    )
    for folder in (tmp_path / 'out', tmp_path / 'kept', Path.cwd()):
        assert f'MiB free in {folder}' in error


@pytest.mark.parametrize('error', [28, 122])
def test_run_tool__advice_names_no_option_that_the_tool_lacks(tmp_path, error, capsys):
    def ours() -> int:
        raise unwritable(tmp_path / 'x', OSError(error, 'full'))

    def library() -> int:
        raise OSError(error, 'full', str(tmp_path / 'x'))

    for main in (ours, library):
        assert run_tool(main) == 2
        assert '--resume' in capsys.readouterr().err
        assert run_tool(main, ADVICE_OUT) == 2
        printed = capsys.readouterr().err
        assert 'the disk is full' in printed
        assert 'an --out on another disk' in printed
        assert '--resume' not in printed
        assert '--work-dir' not in printed


@pytest.mark.parametrize(
    'tool', [t for t in TOOLS if 'converters' in t or 'check_data' in t or 'predict' in t]
)
def test_tools__without_work_dir_do_not_advise_one(tool):
    assert 'run_tool(main, ADVICE_OUT' in (ROOT / tool).read_text()


def test_tools__resnet38d_is_written_where_the_configs_look():
    wanted = 'data/weights/resnet38d.pth'
    assert wanted in (ROOT / 'configs/_base_/classifiers/resnet38_ars.py').read_text()
    assert wanted in (ROOT / 'tools/model_converters/resnet38d.py').read_text()


def test_help_formatter__only_defaults_worth_reading(capsys):
    parser = argparse.ArgumentParser(formatter_class=HelpFormatter)
    parser.add_argument('--out', help='a folder')
    parser.add_argument('--fast', action='store_true', help='be fast')
    parser.add_argument('--seed', default=3, help='a number')
    parser.add_argument('--place', default='x', help='a place (default: beside it)')
    text = ' '.join(parser.format_help().split())
    assert text.count('(default:') == 2
    assert 'a number (default: 3)' in text
    assert 'a place (default: beside it)' in text


@pytest.mark.parametrize('tool', TOOLS)
def test_tools__help_names_no_empty_default(tool, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [tool, '--help'])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / tool), run_name='__main__')
    assert not stopped.value.code
    text = ' '.join(capsys.readouterr().out.split())
    assert 'usage:' in text
    assert '(default: None)' not in text
    assert '(default: False)' not in text


def test_overrides__a_word_without_a_value_is_explained(capsys):
    from arml.cli import Overrides

    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=Overrides)
    found = parser.parse_args(['--cfg-options', 'a.b=[1,2]', 'c=1e-3', 'd=x=y']).cfg_options
    assert found == {'a.b': [1, 2], 'c': 0.001, 'd': 'x=y'}
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'amp'])
    assert "--cfg-options: found 'amp', expected KEY=VALUE" in capsys.readouterr().err
