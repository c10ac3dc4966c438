"""A config that names other configs: one leaf chooses the file, and nothing of the choice is left."""

import pytest
from conftest import ROOT

from arml.config import load_config
from arml.config.chosen_file import files_in, upper_bounds_in, variants_in
from arml.config.load import read_config
from arml.errors import ConfigError

TINY = ROOT / 'configs' / 'arml_tiny_ebhi.py'


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / 'rows.py'
    file.write_text(
        f"method_configs = dict(arml='{TINY}', classifier='{TINY.with_name('classifier_tiny_ebhi.py')}')\n"
        "method = 'arml'\n"
    )
    return file


def test_chosen_file__is_what_the_file_itself_would_be(rows):
    assert load_config(rows).to_dict() == load_config(TINY).to_dict()
    assert load_config(rows).filename == str(TINY)
    overrides = {'model.swv.omega': 3, 'randomness.seed': 2}
    found = load_config(rows, {'method': 'arml', **overrides})
    assert found.to_dict() == load_config(TINY, overrides).to_dict()
    other = load_config(rows, {'method': 'classifier'})
    assert 'model' not in other
    assert files_in(read_config(rows))[0] == 'method'
    assert files_in(read_config(TINY)) is None


def test_chosen_file__paths_count_from_the_folder_of_the_file_that_names_them(tmp_path):
    (tmp_path / 'inner').mkdir()
    (tmp_path / 'inner' / 'one.py').write_text(f"_base_ = ['{TINY}']\n")
    (tmp_path / 'rows.py').write_text("method_configs = dict(one='inner/one.py')\nmethod = 'one'\n")
    assert load_config(tmp_path / 'rows.py').filename == str(tmp_path / 'inner' / 'one.py')


def test_chosen_file__says_which_values_are_upper_bounds(rows):
    tiny = ROOT / 'configs' / 'table1_tiny_ebhi.py'
    assert upper_bounds_in(read_config(tiny)) == {'method': frozenset({'full_supervision'})}
    assert load_config(tiny).to_dict() == load_config(TINY).to_dict()
    for file in (rows, TINY):
        assert upper_bounds_in(read_config(file)) == {}
    rows.write_text(rows.read_text() + "method_upper_bounds = ['full']\n")
    with pytest.raises(ConfigError, match='method_upper_bounds: found full, expected some of arml'):
        load_config(rows)


def test_chosen_file__says_which_values_are_variants(rows):
    full = read_config(ROOT / 'configs' / 'table1_luad.py')
    others = ('arml_resnet38', 'arml_mit-b3', 'arml_released')
    assert variants_in(full) == {'method': dict.fromkeys(others, 'arml')}
    for file in (rows, TINY):
        assert variants_in(read_config(file)) == {}
    text = rows.read_text()
    rows.write_text(f"{text}method_variants = dict(arml=['classifier'])\n")
    assert load_config(rows).to_dict() == load_config(TINY).to_dict()
    for strange in ("dict(arml=['full'])", "dict(full=['arml'])"):
        rows.write_text(f'{text}method_variants = {strange}\n')
        with pytest.raises(ConfigError, match='method_variants: found full, expected some of arml'):
            load_config(rows)
    rows.write_text(f"{text}method_variants = dict(arml='classifier')\n")
    with pytest.raises(
        ConfigError, match="method_variants.arml: found 'classifier', expected a list"
    ):
        load_config(rows)


def test_chosen_file__errors(rows, tmp_path):
    with pytest.raises(
        ConfigError, match=r"method: found 'arm', expected one of arml, classifier\. Did"
    ):
        load_config(rows, {'method': 'arm'})
    with pytest.raises(ConfigError, match='no_such_leaf'):
        load_config(rows, {'method': 'classifier', 'no_such_leaf': 1})
    rows.write_text(rows.read_text() + "store = 'x'\n")
    with pytest.raises(ConfigError, match='nothing else; found store'):
        load_config(rows)
    rows.write_text("method_configs = dict(arml='x.py')\n")
    with pytest.raises(ConfigError, match='found no method'):
        load_config(rows)
    rows.write_text("method_configs = dict(arml='x.py')\nmethod = 'arml'\n")
    with pytest.raises(ConfigError, match=r'x\.py: no such file'):
        load_config(rows)
