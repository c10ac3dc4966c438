"""Every leaf that ``docs/paper_vs_ours.md`` names is one, and takes the value named with it."""

import ast
import re
from pathlib import Path

import pytest

from arml.config import load_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'docs' / 'paper_vs_ours.md').read_text(encoding='utf-8')
FULL, TINY = TEXT.split('## The tiny configs')
LEAF = re.compile(
    r'`((?:classifier|model|pseudo_masks|train_dataloader|optim_wrapper|default_hooks)[\w.]*)'
    r'(?:=([^`]+))?`'
)


def named(text: str) -> list[tuple[str, str]]:
    rows = [line.split('|')[-2] for line in text.splitlines() if line.startswith('| ')]
    return sorted({leaf for row in rows for leaf in LEAF.findall(row)})


CASES = [('arml_resnet38_bcss', *leaf) for leaf in named(FULL)]
CASES += [('arml_tiny_synthetic', *leaf) for leaf in named(TINY)]


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
