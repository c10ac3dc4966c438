"""``docs/architecture.md`` says which folder may import which; the code does no more."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {path.parent.name for path in (ROOT / 'arml').glob('*/__init__.py')}
#: Files that import folders, because they are for the command line.
FOR_TOOLS = {'cli', 'startup'}
#: Files in folders that are run as programs of their own, as tools are.
PROGRAMS = {'ablation/forking.py', 'benchmark/cell_start.py', 'benchmark/cost_run.py'}


def allowed() -> dict[str, set[str]]:
    """Folder -> folders that it may import, as the table says."""
    text = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| `arml/(\w+)/` \|[^|]*\|([^|]*)\|$', text, flags=re.MULTILINE)
    return {folder: set(re.findall(r'`(\w+)`', names)) for folder, names in rows}


def imported(file: Path) -> set[str]:
    """Full names of all modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{file}:{node.lineno}: a relative import'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def parts_of_arml(file: Path) -> set[str]:
    """The folders and single files of ``arml`` among them."""
    return {name.split('.')[1] for name in imported(file) if name.startswith('arml.')}


def test_table__names_every_folder():
    table = allowed()
    assert set(table) == FOLDERS
    assert set().union(*table.values()) <= FOLDERS


def test_table__has_no_circle():
    assert set(TopologicalSorter(allowed()).static_order()) == FOLDERS


@pytest.mark.parametrize('folder', sorted(FOLDERS))
def test_folder__imports_what_the_table_allows(folder):
    may = allowed()[folder]
    for file in (ROOT / 'arml' / folder).rglob('*.py'):
        found = parts_of_arml(file) - {folder}
        assert not found & FOR_TOOLS or str(file.relative_to(ROOT / 'arml')) in PROGRAMS, file
        assert found & FOLDERS <= may, f'{file}: {sorted(found & FOLDERS - may)}'


@pytest.mark.parametrize('file', sorted((ROOT / 'arml').glob('*.py')), ids=lambda file: file.stem)
def test_single_file__imports_no_folder(file):
    if file.stem not in FOR_TOOLS:
        assert not parts_of_arml(file) & FOLDERS


def test_report__needs_no_torch():
    for file in (ROOT / 'arml' / 'report').rglob('*.py'):
        roots = {name.split('.')[0] for name in imported(file)}
        assert not roots & {'torch', 'mmengine', 'mmseg', 'mmcv'}, file
