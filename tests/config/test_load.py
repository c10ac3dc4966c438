"""Config files: found, read, resolved; nothing is shared between sections."""

import pytest
from conftest import ROOT
from mmengine.config import Config

from arml.config import load_config
from arml.config.load import datasets_in, read_config
from arml.errors import ConfigError

TINY = ROOT / 'configs' / 'arml_tiny_synthetic.py'


def write(path, text: str):
    path.write_text(text)
    return path


def test_load__missing_file_names_those_that_are_there(tmp_path):
    write(tmp_path / 'mine.py', 'a = 1')
    with pytest.raises(ConfigError, match=r'config .*nine\.py: no such file\..*mine\.py'):
        load_config(tmp_path / 'nine.py')
    with pytest.raises(ConfigError, match='no such file'):
        load_config(tmp_path / 'no' / 'folder.py')
    with pytest.raises(ConfigError, match='no such file'):
        load_config(tmp_path)


@pytest.mark.parametrize(
    'text', ['model = dict(', 'raise ValueError(1)', "_base_ = ['./absent.py']", '1 / 0']
)
def test_load__broken_file_is_named(tmp_path, text):
    file = write(tmp_path / 'broken.py', text)
    with pytest.raises(ConfigError, match=r'config .*broken\.py: cannot be read'):
        load_config(file)


def test_load__file_of_another_kind(tmp_path):
    with pytest.raises(ConfigError, match=r'notes\.txt: cannot be read'):
        load_config(write(tmp_path / 'notes.txt', 'hello'))


def test_load__variable_left_over_at_top_level(tmp_path):
    file = write(tmp_path / 'mine.py', f"_base_ = ['{TINY}']\nclassifer = dict(model=1)\n")
    with pytest.raises(ConfigError, match="'classifer'. Did you mean classifier.*del classifer"):
        load_config(file)


@pytest.mark.parametrize('seed', [-1, 2**31, 0.5, 'one', None, True])
def test_load__seed_that_is_none(seed):
    with pytest.raises(ConfigError, match=r'randomness\.seed: found'):
        load_config(TINY, {'randomness.seed': seed})


def test_load__data_root_reaches_every_data_set():
    config = load_config(TINY, {'data_root': 'elsewhere', 'randomness.seed': 7})
    found = datasets_in(config._cfg_dict)
    assert len(found) == 7  # three loaders of each stage, and the tiles that get masks
    assert {dataset['data_root'] for dataset in found} == {'elsewhere'}
    assert {dataset['seed'] for dataset in found} == {7}


def test_load__data_root_reaches_every_data_set_of_a_dumped_config_too(tmp_path):
    # What a run left behind, taken to a machine where the data lie elsewhere.
    dumped = write(tmp_path / 'config.py', load_config(TINY, {'data_root': 'old'}).pretty_text)
    config = load_config(dumped, {'data_root': 'new'})
    assert {dataset['data_root'] for dataset in datasets_in(config._cfg_dict)} == {'new'}


def test_load__data_root_of_one_data_set_stays_its_own():
    config = load_config(TINY, {'test_dataloader.dataset.data_root': 'other'})
    assert config.test_dataloader.dataset.data_root == 'other'
    roots = [dataset['data_root'] for dataset in datasets_in(config._cfg_dict)]
    assert roots.count('data/synthetic') == 6


@pytest.mark.parametrize(
    'path', ['train_dataloader', 'val_dataloader', 'test_dataloader', 'classifier.train_dataloader',
             'classifier.val_dataloader', 'classifier.test_dataloader', 'pseudo_masks.dataloader']
)  # fmt: skip
def test_load__an_override_of_one_loader_changes_no_other(path):
    before = dict(_flat(load_config(TINY)._cfg_dict))
    changes = {f'{path}.batch_size': 3, f'{path}.dataset.pipeline.0.type': 'LoadImageFromFile'}
    after = dict(_flat(load_config(TINY, changes)._cfg_dict))
    assert {key for key in after if after[key] != before[key]} == set(changes)


def test_load__schedule_ends_with_the_training():
    config = load_config(TINY, {'train_cfg.max_epochs': 3, 'classifier.train_cfg.max_epochs': 4})
    assert [s.end for s in config.param_scheduler] == [3]
    assert [s.end for s in config.classifier.param_scheduler] == [4]


def test_load__schedule_of_a_dumped_config_follows_its_training_too(tmp_path):
    dumped = write(tmp_path / 'config.py', load_config(TINY).pretty_text)
    config = load_config(dumped, {'train_cfg.max_epochs': 3})
    assert [s.end for s in config.param_scheduler] == [3]


def test_load__schedule_with_an_end_of_its_own_keeps_it():
    config = load_config(TINY, {'param_scheduler.0.end': 2})
    assert config.param_scheduler[0].end == 2


def test_load__dumped_config_is_the_same(tmp_path):
    config = load_config(TINY, {'randomness.seed': 5, 'model.swv.omega': 'drop'})
    again = load_config(write(tmp_path / 'config.py', config.pretty_text))
    assert again.to_dict() == config.to_dict()
    third = load_config(write(tmp_path / 'third.py', again.pretty_text))
    assert third.pretty_text == again.pretty_text


def test_load__store_from_the_environment(monkeypatch):
    monkeypatch.setenv('ARML_STORE', 'somewhere')
    assert load_config(TINY).store == 'somewhere'
    assert load_config(TINY, {'store': 'here'}).store == 'here'


def test_load__section_data_yields_to_the_section(tmp_path):
    file = write(
        tmp_path / 'mine.py',
        'randomness = dict(seed=0)\n'
        'classifier = dict(model=dict(a=1))\n'
        'classifier_data = dict(model=dict(a=2, b=3), val_cfg=dict())\n',
    )
    config = load_config(file)
    assert 'classifier_data' not in config
    assert config.classifier == dict(model=dict(a=1, b=3), val_cfg=dict())


def _flat(node, prefix=''):
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _flat(value, f'{prefix}.{key}' if prefix else key)
    elif isinstance(node, list | tuple) and any(isinstance(item, dict) for item in node):
        for index, value in enumerate(node):
            yield from _flat(value, f'{prefix}.{index}')
    else:
        yield prefix, Config({'v': node}).to_dict()['v']


def test_load__title_names_the_rows(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(f"_base_ = ['{ROOT / 'configs' / 'arml_tiny_ebhi.py'}']\n")
    assert load_config(path).pipeline[-1]['row'] == 'ARML'
    assert load_config(path, {'title': 'Mine'}).pipeline[-1]['row'] == 'Mine'
    with pytest.raises(ConfigError, match="title: found ' ', expected the method's name"):
        load_config(path, {'title': ' '})


def test_load__network_goes_into_the_model_whose_own_leaves_win(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        "network = dict(type='EncoderDecoder', backbone=dict(depth=18, style='pytorch'))\n"
        "model = dict(type='arml.SingleNetworkSegmentor', network=dict(backbone=dict(depth=50)))\n"
    )
    found = read_config(path)
    assert 'network' not in found
    assert found.model.network.to_dict() == dict(
        type='EncoderDecoder', backbone=dict(depth=50, style='pytorch')
    )
