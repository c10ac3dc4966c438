"""tools/test.py: the same numbers as the pipeline's test, and clear refusals."""

import hashlib
import json
import os
import shutil

import pytest
import torch
from tiny_run import CONFIG

from arml.cli import run_tool
from arml.errors import CheckpointError
from arml.pseudo.io import read_mask
from tools import test as tool_test


@pytest.fixture
def tool(tiny_run, tmp_path, capsys):
    def run(checkpoint, *arguments):
        call = [str(CONFIG), str(checkpoint), '--work-dir', str(tmp_path / 'work'), *arguments]
        call += ['--cfg-options', f'data_root={tiny_run.data}']
        status = run_tool(lambda: tool_test.main(call))
        printed = capsys.readouterr()
        assert 'Traceback' not in printed.err
        return status, printed.err, printed.out

    return run


@pytest.mark.parametrize(('stage', 'tested'), [('segmentor', 'test'), ('classifier', 'cam_test')])
def test_tool__same_numbers_as_in_the_pipeline(tool, tiny_run, tmp_path, stage, tested):
    out, shown = tmp_path / 'test.json', tmp_path / 'masks'
    status, _, table = tool(tiny_run.checkpoint(stage), '--out', str(out), '--show-dir', str(shown))
    assert status == 0
    assert stage in table
    expected = json.loads((tiny_run.work / tested / 'metrics.json').read_text())
    assert json.loads(out.read_text())['rows'][0]['metrics'] == expected
    masks = sorted(shown.glob('*.png'))
    assert [mask.name for mask in masks] == sorted(
        file.name for file in (tiny_run.data / 'test' / 'img').iterdir()
    )
    assert read_mask(masks[0]).shape == (32, 32)


def test_tool__says_what_was_tested_with_what(tool, tiny_run, tmp_path):
    out, checkpoint = tmp_path / 'test.json', tiny_run.checkpoint()
    assert tool(checkpoint, '--out', str(out))[0] == 0
    left = json.loads((tmp_path / 'work' / 'environment.json').read_text())
    assert left['seed'] == 0
    assert left['checkpoint_sha256'] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert left['data'] == {'test': tiny_run.result['data']['test']}
    assert left['versions'] == tiny_run.result['versions']
    assert left['commit'] == tiny_run.result['commit']
    written = json.loads(out.read_text())
    assert {key: written[key] for key in left} == left


def test_tool__a_test_that_dies_has_said_it_before(tool, tiny_run, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('arml.engine.StageRunner.test', killed)
    assert tool(tiny_run.checkpoint())[0] == 130
    assert 'data' in json.loads((tmp_path / 'work' / 'environment.json').read_text())


def test_tool__work_dir_is_outside_the_store(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A store of its own: other pytest processes fill the shared one meanwhile.
    store = tmp_path / 'store'
    checkpoint = store / 'segmentor' / 'of_this_test' / 'checkpoint.pth'
    checkpoint.parent.mkdir(parents=True)
    shutil.copy(tiny_run.checkpoint(), checkpoint)
    before = set(store.rglob('*'))
    call = [str(CONFIG), str(checkpoint), '--cfg-options', f'data_root={tiny_run.data}']
    assert tool_test.main([*call, f'store={store}']) == 0
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:8]
    assert [path.name for path in (tmp_path / 'work_dirs').iterdir()] == [f'test-pipeline-{digest}']
    assert set(store.rglob('*')) == before
    with pytest.raises(CheckpointError, match='no such file'):
        tool_test.main([str(CONFIG), str(tmp_path / 'none.pth')])


class Payload:
    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


def test_tool__bad_checkpoints(tool, tiny_run, tmp_path):
    file, marker = tmp_path / 'x.pth', tmp_path / 'executed'
    status, error, _ = tool(file)
    assert (status, 'x.pth: no such file' in error) == (2, True)
    torch.save({'state_dict': {}, 'x': Payload(marker)}, file)
    status, error, _ = tool(file)
    assert (status, 'x.pth: refused' in error) == (2, True)
    assert not marker.exists()
    file.write_bytes(tiny_run.checkpoint().read_bytes()[:5000])
    status, error, _ = tool(file)
    assert (status, 'it is cut off' in error) == (2, True)


@pytest.mark.parametrize('content', [
    {'state_dict': {'w': torch.ones(1)}},
    {'meta': None, 'state_dict': {}},
    {'meta': {'arml': None}, 'a': 1},
    {'meta': 'text'},
])  # fmt: skip
def test_tool__another_architecture(tool, tmp_path, content):
    torch.save(content, tmp_path / 'x.pth')
    status, error, _ = tool(tmp_path / 'x.pth')
    assert status == 2
    assert 'x.pth is of another architecture' in error


def test_tool__a_config_that_the_checkpoint_was_not_trained_with(tiny_run, tmp_path, capsys):
    work, file = str(tmp_path / 'work'), str(tiny_run.checkpoint())
    luad = tmp_path / 'luad.py'
    dataset = "dict(dataset=dict(type='arml.LUADHistoSegDataset'))"
    luad.write_text(f"_base_ = ['{CONFIG}']\n" + f'test_dataloader = {dataset}\n')
    for config, change, words in (
        (luad, 'randomness.seed=0', (r"'TUM', 'STR', 'LYM', 'NEC'", r"'TE', 'NEC', 'LYM', 'TAS'")),
        (CONFIG, 'model.data_preprocessor.normalise=unit', ("'tile'", "'unit'", 'normalise')),
    ):
        call = [
            str(config),
            file,
            '--work-dir',
            work,
            '--cfg-options',
            f'data_root={tiny_run.data}',
            change,
        ]
        assert run_tool(lambda call=call: tool_test.main(call)) == 2
        printed = capsys.readouterr()
        assert all(word in printed.err for word in (file, *words)), printed.err
        assert 'Protocol' not in printed.out


def test_tool__section_that_the_config_has_not(tool, tmp_path):
    torch.save({'meta': {'arml': {'section': 'teacher'}}, 'state_dict': {}}, tmp_path / 'x.pth')
    status, error, _ = tool(tmp_path / 'x.pth')
    assert status == 2
    assert "no section 'teacher'" in error
