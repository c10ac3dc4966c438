"""tools/train.py as a hostile user would run it: a status and a message, never a traceback."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT
from PIL import Image
from tiny_run import CONFIG, QUICK

from arml.cli import run_tool
from arml.engine import checkpoint as checkpoints
from tools import train


@pytest.fixture
def tool(tmp_path, capsys):
    """Run the tool in this process; returns (status, standard error)."""

    def run(data, *arguments, config=CONFIG, store=None, quick=True, **options):
        given = {
            'data_root': data,
            'store': store or tmp_path / 'store',
            **(QUICK if quick else {}),
        }
        given.update({key.replace('__', '.'): value for key, value in options.items()})
        call = [str(config), '--work-dir', str(tmp_path / 'work'), *arguments]
        call += ['--cfg-options', *(f'{key}={value}' for key, value in given.items())]
        capsys.readouterr()
        status = run_tool(lambda: train.main(call))
        error = capsys.readouterr().err
        assert 'Traceback' not in error
        return status, error

    return run


class Payload:
    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


def test_train__as_a_program(tiny_run, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / 'tools' / 'train.py', CONFIG, '--cfg-options', 'modle.swv.omega=3'],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: override modle.swv.omega: there is no 'modle'" in done.stderr
    assert 'Did you mean model.swv.omega' in done.stderr
    assert 'Traceback' not in done.stderr
    assert os.listdir(tmp_path) == []


def test_train__help(capsys):
    with pytest.raises(SystemExit) as caught:
        train.main(['--help'])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in ('--work-dir', '--resume', '--amp', '--cfg-options', '--launcher', 'example:'):
        assert flag in text


def terminate_twice(ended):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        ended.append('in order')


def test_sigterm_is_an_exit__once_and_only_in_this_process():
    """Slurm and a worker both send one; a forked process that loads data ends at once, as without a handler."""
    before, ended, fork = signal.getsignal(signal.SIGTERM), [], multiprocessing.get_context('fork')
    began = fork.Event()
    with train.sigterm_is_an_exit():
        child = fork.Process(target=lambda: (began.set(), time.sleep(60)))
        child.start()
        assert began.wait(30)
        child.terminate()
        child.join(30)
        assert child.exitcode == -signal.SIGTERM
        with pytest.raises(SystemExit, match='143'):
            terminate_twice(ended)
    assert ended == ['in order']
    assert signal.getsignal(signal.SIGTERM) is before


def test_train__finished_run_of_the_work_dir_s_own_config(tiny_run, tmp_path, capsys):
    call = [str(tiny_run.work / 'config.py'), '--work-dir', str(tmp_path / 'again'), '--resume']
    assert run_tool(lambda: train.main(call)) == 0
    printed = capsys.readouterr()
    assert printed.err.count('finished before, taken from') == 7
    assert 'raw CAM' in printed.out


def test_train__unknown_config(tool, tiny_run):
    status, error = tool(tiny_run.data, config=ROOT / 'configs' / 'arml_tiny_synthetics.py')
    assert status == 2
    assert 'arml_tiny_synthetics.py: no such file' in error
    assert 'arml_tiny_synthetic.py' in error


def test_train__unknown_data_folder(tool, tmp_path):
    status, error = tool(tmp_path / 'nowhere')
    assert status == 2
    assert str(tmp_path / 'nowhere') in error
    assert not (tmp_path / 'work').exists()


def test_train__empty_train_split(tool, fake_tissue, tmp_path):
    for file in (fake_tissue / 'train').iterdir():
        file.unlink()
    status, error = tool(fake_tissue)
    assert status == 2
    assert 'train' in error
    assert 'empty' in error


@pytest.mark.parametrize('workers', [0, 1])
def test_train__corrupt_image_in_the_middle_of_an_epoch(tool, fake_tissue, tmp_path, workers):
    file = sorted((fake_tissue / 'train').glob('*.png'))[8]
    file.write_bytes(file.read_bytes()[:80])
    status, error = tool(fake_tissue, classifier__train_dataloader__num_workers=workers)
    assert status == 2
    last = [line for line in error.splitlines() if line.startswith('error: ')]
    assert len(last) == 1
    assert file.name in last[0]
    assert 'Caught' not in error
    assert not list((tmp_path / 'store').rglob('product.json'))


def test_train__corrupt_validation_mask(tool, fake_tissue):
    file = sorted((fake_tissue / 'val' / 'mask').glob('*.png'))[2]
    Image.new('RGB', (32, 32)).save(file)
    status, error = tool(fake_tissue)
    assert status == 2
    assert file.name in error


def test_train__fewer_tiles_than_a_batch(tool, fake_tissue):
    for folder in ('train', 'train_mask'):
        for file in sorted((fake_tissue / folder).iterdir())[2:]:
            file.unlink()
    status, error = tool(fake_tissue)
    assert status == 2
    assert 'batch_size' in error


def test_train__missing_weights_name_file_and_the_way_out(tool, tiny_run, tmp_path):
    file = tmp_path / 'weights.pth'
    status, error = tool(
        tiny_run.data,
        classifier__model__backbone__pretrained=True,
        classifier__model__backbone__checkpoint=file,
    )
    assert status == 2
    assert str(file) in error
    assert 'pretrained=False' in error


@pytest.mark.parametrize('key', ['load_from', 'classifier.load_from'])
def test_train__load_from(tool, tiny_run, tmp_path, key):
    marker, file = tmp_path / 'executed', tmp_path / 'start.pth'
    stage = 'classifier' if key.startswith('classifier') else 'segmentor'
    wrong = 'segmentor' if stage == 'classifier' else 'classifier'
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')

    def run():
        return tool(tiny_run.data, store=store, quick=False, **{key: file})

    status, error = run()
    assert (status, 'start.pth: no such file' in error) == (2, True)
    shutil.copy(tiny_run.checkpoint(wrong), file)
    status, error = run()
    assert (status, 'of another architecture' in error) == (2, True)
    file.write_bytes(file.read_bytes()[:3000])
    status, error = run()
    assert (status, 'it is cut off' in error) == (2, True)
    torch.save({'state_dict': {}, 'x': Payload(marker)}, file)
    status, error = run()
    assert (status, 'refused' in error) == (2, True)
    assert not marker.exists()


def test_train__init_cfg_with_code_in_it(tool, tiny_run, tmp_path):
    marker, file = tmp_path / 'executed', tmp_path / 'weights.pth'
    torch.save({'state_dict': {}, 'x': Payload(marker)}, file)
    config = tmp_path / 'mine.py'
    config.write_text(
        f"_base_ = ['{CONFIG}']\n"
        f"model = dict(init_cfg=dict(type='Pretrained', checkpoint='{file}'))\n"
    )
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    status, error = tool(tiny_run.data, config=config, store=store, quick=False)
    assert status == 2
    assert 'weights.pth: refused' in error
    assert not marker.exists()


def test_train__resume(tool, tiny_run, tmp_path):
    """What lies in the folder of an unfinished stage is a stranger's file, a product, half a file."""
    marker = tmp_path / 'executed'
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    folder = store / 'segmentor' / tiny_run.result['stages']['segmentor']['key']
    (folder / 'product.json').unlink()
    state = folder / 'epoch_1.pth'
    (folder / 'last_checkpoint').write_text(str(state))

    def run():
        return tool(tiny_run.data, '--resume', store=store, quick=False)

    torch.save({'state_dict': {}, 'meta': {'epoch': 1, 'iter': 3}, 'x': Payload(marker)}, state)
    status, error = run()
    assert (status, 'epoch_1.pth: refused' in error) == (2, True)
    assert not marker.exists()
    shutil.copy(folder / 'checkpoint.pth', state)
    status, error = run()
    assert (status, 'cannot be resumed from' in error) == (2, True)
    state.write_bytes(state.read_bytes()[:2000])
    status, error = run()
    assert (status, 'it is cut off' in error) == (2, True)
    state.unlink()
    status, error = run()
    assert (status, 'epoch_1.pth: no such file' in error) == (2, True)


def test_train__metric_that_does_not_exist(tool, tiny_run, tmp_path):
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    status, error = tool(
        tiny_run.data, store=store, quick=False, default_hooks__checkpoint__save_best='mIOU',
        train_cfg__max_epochs=1,
    )  # fmt: skip
    assert status == 2
    assert "the validation reports no 'mIOU'" in error


def test_train__loss_that_explodes(tool, tiny_run, tmp_path):
    store = shutil.copytree(tiny_run.store, tmp_path / 'store')
    options = {'optim_wrapper.optimizer.lr': 1e30, 'train_cfg.max_epochs': 2}
    status, error = tool(tiny_run.data, store=store, quick=False, **options)
    assert status == 2
    assert 'is not finite in epoch' in error
    assert 'optim_wrapper.optimizer.lr' in error


def test_train__amp_without_a_gpu(tool, tiny_run, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    status, error = tool(tiny_run.data, '--amp')
    assert status == 2
    assert '--amp: needs a GPU' in error


def test_train__work_dir_that_is_a_file(tool, tiny_run, tmp_path):
    (tmp_path / 'work').write_text('x')
    status, error = tool(tiny_run.data)
    assert status == 2
    assert str(tmp_path / 'work') in error


def test_train__store_that_is_a_file(tool, tiny_run, tmp_path):
    (tmp_path / 'file').write_text('x')
    status, error = tool(tiny_run.data, store=tmp_path / 'file')
    assert status == 2
    assert str(tmp_path / 'file') in error


def test_train__checkpoints_can_be_read_back_safely(tiny_run):
    for stage in ('classifier', 'segmentor'):
        assert checkpoints.load(tiny_run.checkpoint(stage))['state_dict']
