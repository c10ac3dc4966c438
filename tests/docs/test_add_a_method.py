"""docs/add_a_method.md, followed literally in a copy of the repository."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PAGE = (ROOT / 'docs' / 'add_a_method.md').read_text(encoding='utf-8')
#: What a reader has before the first step.
COPIED = ('arml', 'configs', 'sweeps', 'tests', 'tools', 'docs', 'pyproject.toml', 'setup.cfg')
FILE = re.compile(r'^`([\w/.]+)`\n\n```python\n(.*?)^```', re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r'^```sh\n(.*?)^```', re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / 'arml'
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, folder / name)
    return folder


def run(folder: Path, command: str) -> str:
    done = subprocess.run(
        ['bash', '-euc', command], cwd=folder, capture_output=True, text=True, timeout=500, check=False,
        env={'PATH': f'{Path(sys.executable).parent}:/usr/bin:/bin', 'OMP_NUM_THREADS': '1',
             'PYTHONPATH': str(folder), 'HOME': str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, f'{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_add_a_method__every_step_holds(copy, fake_tissue):
    files = FILE.findall(PAGE)
    assert [name for name, _ in files] == [
        'arml/methods/gce/loss.py', 'arml/methods/gce/__init__.py', 'configs/gce/gce_tiny_ebhi.py',
        'tests/methods/gce/test_gce_loss.py',
    ]  # fmt: skip
    for name, text in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
    register, train, test, row, study = COMMAND.findall(PAGE)
    run(copy, register)
    small = (
        f'data_root={fake_tissue} store=store train_cfg.max_epochs=1 classifier.train_cfg.max_epochs=1 '
        'tile_size=32,32 classifier.tile_size=32,32 classifier.train_dataloader.batch_size=6'
    )
    run(copy, f'{train.strip()} --work-dir work --cfg-options {small}')
    assert '| GCE ' in (copy / 'work' / 'table.md').read_text()
    assert re.search(r'\b2 passed', run(copy, f'{test.strip()} -p no:cacheprovider -n0'))
    run(copy, row)
    listed = run(
        copy,
        f'python tools/sweep.py run {study.split()[3]} --dry-run --cfg-options {small.split()[0]} store=store',
    )
    assert listed.count('method=gce') == 3
