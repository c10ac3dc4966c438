"""Every leaf that ``docs/paper_vs_released.md`` names is one, and takes the value named with it."""

import ast
import re
from pathlib import Path

import pytest

from arml.config import load_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'docs' / 'paper_vs_released.md').read_text(encoding='utf-8')
FULL, TINY = TEXT.split('## The tiny configs')
LEAF = re.compile(
    r'`((?:classifier|model|pseudo_masks|train_dataloader|optim_wrapper|default_hooks)[\w.]*)'
    r'(?:=([^`]+))?`'
)


def named(text: str, column: int) -> list[tuple[str, str]]:
    rows = [line.split('|')[column] for line in text.splitlines() if line.startswith('| ')]
    return sorted({leaf for row in rows for leaf in LEAF.findall(row)})


def of(leaf: str, text: str) -> str:
    """A config that has the leaf: Grad-CAM's layers are those of the released one."""
    return (
        'arml_released_resnest101_bcss' if leaf.endswith('maps.layers') else 'arml_resnest101_bcss'
    )


CASES = [(of(leaf[0], leaf[1]), *leaf) for leaf in named(FULL, -3)]
CASES += [('arml_tiny_synthetic', *leaf) for leaf in named(TINY, -2)]


@pytest.mark.parametrize(('config', 'leaf', 'text'), CASES)
def test_leaf__is_one(config, leaf, text):
    file = ROOT / 'configs' / f'{config}.py'
    overrides = {}
    if text:
        try:
            overrides = {leaf: ast.literal_eval(text)}
        except ValueError:
            overrides = {leaf: text}
    value = load_config(file, overrides)
    for part in leaf.split('.'):
        value = value[part]
    if overrides:
        assert value == overrides[leaf]


def test_leaf__there_are_some():
    assert len(CASES) > 30


def test_tests__named_in_the_table_exist():
    rows = [line.split('|')[-2].strip() for line in FULL.splitlines() if line.startswith('| ')]
    named = {found for row in rows for found in re.findall(r'`([\w/]+\.py)(?:::(\w+))?`', row)}
    assert len(named) > 20
    for file, function in sorted(named):
        text = (ROOT / 'tests' / file).read_text(encoding='utf-8')
        assert f'def {function}' in text, f'{file}: no {function}'
