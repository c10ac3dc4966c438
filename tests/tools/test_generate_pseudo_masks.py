"""tools/generate_pseudo_masks.py from the command line."""

import hashlib
import re
import shutil

import pytest
from conftest import ROOT
from tiny_run import CONFIG

from arml.cli import run_tool
from arml.pseudo.io import read_mask
from tools import generate_pseudo_masks


@pytest.fixture
def tool(tiny_run, tmp_path, capsys):
    def run(*arguments, config=CONFIG, checkpoint=None, data=None):
        call = [str(config), str(checkpoint or tiny_run.checkpoint('classifier'))]
        call += ['--out', str(tmp_path / 'masks'), *arguments, '--device', 'cpu']
        call += ['--cfg-options', f'data_root={data or tiny_run.data}']
        status = run_tool(lambda: generate_pseudo_masks.main(call))
        printed = capsys.readouterr()
        assert 'Traceback' not in printed.err
        return status, printed.err, printed.out

    return run


def test_tool__same_masks_as_in_the_pipeline(tool, tiny_run, tmp_path):
    status, error, text = tool()
    assert status == 0
    assert '12 tiles, masks in' in text
    assert 'final: mIoU' in text
    assert '12/12' in error
    for file in (tiny_run.work / 'pseudo_masks' / 'final').glob('*.png'):
        assert (read_mask(file) == read_mask(tmp_path / 'masks' / 'final' / file.name)).all()


def test_tool__without_out(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoint = tiny_run.checkpoint('classifier')
    sha = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:8]
    for split, folder in (('train', f'masks-pipeline-{sha}'), ('val', f'masks-pipeline-{sha}-val')):
        call = [str(CONFIG), str(checkpoint), '--split', split, '--cfg-options']
        assert generate_pseudo_masks.main([*call, f'data_root={tiny_run.data}']) == 0
        first, last = capsys.readouterr().out.splitlines()[:2]
        assert first.endswith(f'go to work_dirs/{folder}')
        assert last.endswith(f'masks in work_dirs/{folder}/final')
        assert list((tmp_path / 'work_dirs' / folder / 'final').glob('*.png'))


def test_tool__the_right_call_after_a_wrong_one(tool, tiny_run):
    assert tool(checkpoint=tiny_run.checkpoint())[0] == 2
    assert tool()[0] == 0


def test_tool__faulty_dense_masks(tool, tiny_run, tmp_path):
    data = shutil.copytree(tiny_run.data, tmp_path / 'data')
    gone = sorted((data / 'train_mask').glob('*.png'))[0]
    gone.unlink()
    status, error, text = tool(data=data)
    assert status == 0
    assert 'mIoU' not in text
    assert re.search(f'not scored against the dense masks: .*{re.escape(gone.name)}', error)


def test_tool__another_split_needs_another_folder(tool):
    assert tool('--split', 'val')[0] == 0
    status, error, _ = tool('--split', 'test')
    assert status == 2
    assert 'holds pseudo masks made with another' in error


def test_tool__bad_input(tool, tiny_run, tmp_path):
    status, error, _ = tool(checkpoint=tmp_path / 'none.pth')
    assert status == 2
    assert 'none.pth' in error
    status, error, _ = tool(checkpoint=tiny_run.checkpoint())
    assert (status, 'of another architecture' in error) == (2, True)
    assert not (tmp_path / 'masks').exists()
    status, error, _ = tool('--section', 'teacher')
    assert (status, "no section 'teacher'" in error) == (2, True)
    status, error, _ = tool(data=tmp_path / 'nowhere')
    assert (status, str(tmp_path / 'nowhere') in error) == (2, True)
    without = tmp_path / 'without.py'
    without.write_text(f"_base_ = ['{ROOT}/configs/_base_/default_runtime.py']\ndata_root = 'x'\n")
    status, error, _ = tool(config=without)
    assert (status, 'no section pseudo_masks' in error) == (2, True)
