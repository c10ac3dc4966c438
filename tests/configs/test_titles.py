"""Every config has a name of its own among those of its data set: a row of a table is called so."""

import pytest
from conftest import ROOT
from shipped import CONFIGS

from arml.config import load_config
from arml.report.model_zoo import Model

#: Those that name other configs are none of their own.
OWN = [file for file in CONFIGS if not file.stem.startswith('table1_')]


@pytest.mark.parametrize('data', ['bcss', 'luad', 'ebhi', 'synthetic'])
def test_titles__and_names_of_the_index_are_each_of_one_config(data):
    files = [file for file in OWN if file.stem.endswith(f'_{data}')]
    assert len(files) > 10
    titles: dict[str, str] = {}
    for file in files:
        path = file.relative_to(ROOT).as_posix()
        name = Model(path, '', data, []).name
        assert titles.setdefault(load_config(file).get('title'), name) == name
    assert None not in titles
    assert len(set(titles.values())) == len(files)


def test_titles__a_choice_may_add_to_that_of_the_config():
    file = ROOT / 'configs' / 'baselines' / 'upernet_tiny_ebhi.py'
    for given, title in (
        ({}, 'UPerNet'),
        ({'supervision': 'masks'}, 'UPerNet, full supervision'),
        ({'supervision': 'masks_from_scratch', 'title': 'Mine'}, 'Mine'),
    ):
        config = load_config(file, given)
        assert config.title == config.pipeline[-1]['row'] == title
