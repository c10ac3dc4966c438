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


#: Lines of the ledger for the cells of a sweep, as if all had been run.
FILL = """
import sys
sys.path.insert(0, 'tests')
from arml.ablation import Ledger, cells_of, read_sweep
from fake_ledger import finished
sweep = read_sweep(sys.argv[1])
ledger = Ledger(f'work_dirs/sweeps/{sweep.name}/ledger.jsonl')
for cell in cells_of(sweep, sys.argv[2:]):
    score = 50 + len(cell.parameters['method']) + cell.parameters['randomness.seed']
    ledger.add(finished(cell.parameters, score, cell.run))
"""


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
    register, other, train, test, row, check, study = COMMAND.findall(PAGE)
    run(copy, register)
    run(copy, other)
    place = f'data_root={fake_tissue} store={copy.parent}/store'
    small = (
        f'{place} train_cfg.max_epochs=1 classifier.train_cfg.max_epochs=1 tile_size=32,32 '
        'classifier.tile_size=32,32 classifier.train_dataloader.batch_size=6'
    )
    work = copy.parent / 'work'
    run(copy, f'{train.strip()} --work-dir {work} --cfg-options {small}')
    assert '| GCE ' in (work / 'table.md').read_text()
    assert re.search(r'\b2 passed', run(copy, f'{test.strip()} -p no:cacheprovider -n0'))
    run(copy, row)
    lint, checks = check.strip().splitlines()
    run(copy, lint)
    passed = run(copy, f'{checks} -p no:cacheprovider -n0')
    assert int(re.search(r'\b(\d+) passed', passed).group(1)) > 20
    study, report = study.strip().split('\n', 1)
    listed = run(copy, f'{study} --dry-run --cfg-options {place}')
    assert listed.count('method=gce') == 3
    (copy.parent / 'fill.py').write_text(FILL)
    run(copy, f'python {copy.parent}/fill.py {study.split()[3]} {place}')
    run(copy, f'{report.strip()} --cfg-options {place}')
    text = (copy / 'work_dirs' / 'report' / 'report.md').read_text()
    assert '33 cells: 33 finished' in text
    assert re.search(r'^\| gce +\| segmentor +\|', text, re.MULTILINE)
