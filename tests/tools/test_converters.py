"""The converters and the checker as tools: exit status, help, output."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arml.cli import run_tool
from arml.errors import DataError

TOOLS = Path(__file__).parents[2] / 'tools'


def load(name):
    spec = importlib.util.spec_from_file_location(name.replace('/', '_'), TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def published(tmp_path):
    root = tmp_path / 'BCSS-WSSS'
    for place in ('training/a[1100].png', 'val/img/b.png', 'test/img/c.png'):
        (root / place).parent.mkdir(parents=True)
        Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(root / place)
    for place in ('val/mask/b.png', 'test/mask/c.png'):
        (root / place).parent.mkdir()
        mask = Image.fromarray(np.ones((8, 8), np.uint8))
        mask.putpalette([0] * 768)
        mask.save(root / place)
    return root


@pytest.mark.parametrize('name', ['bcss', 'luad'])
def test_converter__from_an_archive(name, tmp_path, published, capsys):
    archive = shutil.make_archive(str(tmp_path / 'a'), 'zip', tmp_path, 'BCSS-WSSS')
    out = tmp_path / 'data' / name
    assert load(f'dataset_converters/{name}').main([archive, '--out', str(out)]) == 0
    printed = capsys.readouterr().out
    assert 'train      1' in printed
    assert 'manifest.json' in printed
    manifest = json.loads((out / 'manifest.json').read_text())
    assert 'Ask the authors' in manifest['licence']
    assert load('check_dataset').main([name, str(out)]) == 0


def test_converter__ebhi_list(tmp_path, capsys):
    source = tmp_path / 'EBHI-SEG' / 'Polyp'
    array = np.random.default_rng(0).integers(90, 180, (224, 224, 3), dtype=np.uint8)
    annotation = np.zeros((224, 224), np.uint8)
    annotation[:100] = 255
    rows = ['file,split,folder,source,x,y,side']
    for number, split in enumerate(('train', 'val', 'test')):
        for kind, pixels in (('image', array), ('label', annotation)):
            (source / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(source / kind / f'GT201200{number}-1.png')
        label = '[0110]' if split == 'train' else ''
        rows.append(f'{split}/x{number}{label}.png,{split},Polyp,GT201200{number}-1.png,0,0,224')
    (tmp_path / 'list.csv').write_text('\n'.join(rows))
    out = tmp_path / 'ebhi'
    arguments = [str(tmp_path / 'EBHI-SEG'), '--subset', str(tmp_path / 'list.csv')]
    assert load('dataset_converters/ebhi').main([*arguments, '--out', str(out)]) == 0
    assert json.loads((out / 'manifest.json').read_text())['licence'] == 'CC BY 4.0'
    assert '[0110]' in capsys.readouterr().out
    assert (out / 'train_mask' / 'x0[0110].png').is_file()


def test_converter__fault_gives_status_2(tmp_path, published, capsys):
    (published / 'training' / 'a[1100].png').rename(published / 'training' / 'a.png')
    main = load('dataset_converters/bcss').main
    arguments = [str(published), '--out', str(tmp_path / 'out')]
    assert run_tool(lambda: main(arguments)) == 2
    assert 'no image-level label' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_converter__source_missing(tmp_path):
    with pytest.raises(DataError, match='no such file or folder'):
        load('dataset_converters/luad').main([str(tmp_path / 'none.zip')])


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('bcss', ['ChuHan89/WSSS-Tissue', 'CC0 1.0', 'Check with the authors', '23,422']),
        ('luad', ['ChuHan89/WSSS-Tissue', 'Check with the authors', 'WSSS4LUAD', '16,678']),
        ('ebhi', ['10.6084/m9.figshare.21540159', 'CC BY 4.0', 'ebhi_tissue', 'Without --subset']),
    ],
)
def test_converter__help_says_where_from_and_licence(name, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        load(f'dataset_converters/{name}').main(['--help'])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in [*words, 'Nothing is downloaded', '--subset'])


def test_check_dataset__status_and_json(tmp_path, published, capsys):
    main = load('check_dataset').main
    report = tmp_path / 'faults.json'
    (published / 'val' / 'mask' / 'b.png').unlink()
    assert main(['bcss', str(published), '--out', str(report)]) == 1
    assert '1 error(s), 3 warning(s)' in capsys.readouterr().out
    faults = json.loads(report.read_text())
    assert faults[0] == {
        'severity': 'error',
        'file': 'val/img/b.png',
        'field': 'mask',
        'found': 'no mask',
        'expected': 'val/mask/b.png',
    }
    assert main(['bcss', str(published), '--splits', 'train', 'test']) == 0
    assert main(['bcss', str(tmp_path / 'none')]) == 1
    with pytest.raises(SystemExit) as stopped:
        main(['cityscapes', str(published)])
    assert stopped.value.code == 2


def test_check_dataset__fast_decodes_nothing(published):
    (published / 'training' / 'a[1100].png').write_bytes(b'')
    main = load('check_dataset').main
    assert main(['bcss', str(published), '--fast']) == 0
    assert main(['bcss', str(published)]) == 1


@pytest.mark.parametrize(
    'tool',
    ['check_dataset', *(f'dataset_converters/{n}' for n in ('bcss', 'luad', 'ebhi', 'synthetic'))],
)
def test_tools__say_nothing_of_libraries(tool):
    command = [sys.executable, str(TOOLS / f'{tool}.py'), '--help']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('usage:')
    assert 'OneDL' not in done.stdout + done.stderr


def test_converter__luad_given_bcss(tmp_path, published, capsys):
    out = tmp_path / 'luad'
    assert load('dataset_converters/luad').main([str(published), '--out', str(out)]) == 0
    assert '[1100], so in 1 files; expected [1 1 0 0]' in capsys.readouterr().out
