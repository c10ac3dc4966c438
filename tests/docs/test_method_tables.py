"""The tables of docs/methods name leaves that there are, values that they take, and tests that there are."""

import ast
import re

import pytest
from conftest import ROOT

from arml.config import load_config
from arml.config.choices import choices_in
from arml.config.load import read_config
from arml.config.sections import get_leaf

#: The config that a page is about, and the least numbers of rows and of leaves of its table.
PAGES = {
    'gradcam_plus_plus': ('gradcam_plus_plus/gradcam_plus_plus_resnet38_{}.py', 8, 5),
    'mlps': ('mlps/mlps_resnet101_{}.py', 25, 31),
    'oeem': ('oeem/oeem_resnet38_{}.py', 25, 25),
}
LEAF = re.compile(
    r'`((?:classifier|model|pseudo_masks|train_\w+|deviation|schedule|start)\b[\w.]*)(?:=([^`]+))?`'
)


def rows(page):
    text = (ROOT / 'docs' / 'methods' / f'{page}.md').read_text(encoding='utf-8')
    return [
        [cell.strip() for cell in line.split('|')[1:-1]]
        for line in text.splitlines()
        if line.startswith('| ') and not line.startswith(('| ---', '| point'))
    ]


def named():
    return sorted(
        {(page, *found) for page in PAGES for row in rows(page) for found in LEAF.findall(row[4])}
    )


def config_file(page, leaf):
    # The white of LUAD is a leaf of the other data set's config.
    data = 'luad' if leaf.endswith('white_area') else 'bcss'
    return ROOT / 'configs' / PAGES[page][0].format(data)


@pytest.mark.parametrize(('page', 'leaf', 'text'), named())
def test_table__names_leaves(page, leaf, text):
    file = config_file(page, leaf)
    choices = choices_in(read_config(file))
    if leaf in choices:
        assert text in choices[leaf]
        load_config(file, {leaf: text})
        return
    if not text:
        get_leaf(load_config(file), leaf)
        return
    try:
        value = ast.literal_eval(text)
    except ValueError:
        value = text
    assert get_leaf(load_config(file, {leaf: value}), leaf) == value


@pytest.mark.parametrize('page', PAGES)
def test_table__has_whole_rows_and_names_tests_that_there_are(page):
    found = rows(page)
    assert len(found) >= PAGES[page][1]
    assert len([name for name, *_ in named() if name == page]) >= PAGES[page][2]
    for row in found:
        assert len(row) == 6, row
        for name in re.findall(r'`([\w/]+\.py)`', row[5]):
            folder = ROOT / 'tests' if '/' in name else ROOT / 'tests' / 'methods' / page
            assert (folder / name).is_file(), name
