"""Keys of a config file that nothing reads, and numbers that no config can hold."""

import pytest
from conftest import ROOT

from arml.config import load_config
from arml.config.overrides import arguments_of, find_class
from arml.config.spelling import check_arguments
from arml.errors import ConfigError

TINY = ROOT / 'configs' / 'arml_tiny_synthetic.py'


def load(folder, text: str, overrides=None):
    file = folder / 'mine.py'
    file.write_text(f"_base_ = ['{TINY}']\n{text}\n")
    return load_config(file, overrides)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            'classifier = dict(optim_wraper=dict(clip_grad=None))',
            r'nothing reads classifier\.optim_wraper\. Did you mean classifier\.optim_wrapper\?',
        ),
        (
            'classifier = dict(inputsize=(4, 4))',
            r'classifier\.inputsize\. Did you mean classifier\.input_size\?',
        ),
        (
            'classifier = dict(seed=1)',
            r'nothing reads classifier\.seed\. classifier may hold auto_scale_lr, custom_hooks',
        ),
        ('randomness = dict(sed=4)', r'randomness\.sed\. Did you mean randomness\.seed\?'),
        (
            'env_cfg = dict(cudnn_benchmrk=True)',
            r'env_cfg\.cudnn_benchmrk\. Did you mean env_cfg\.cudnn_benchmark\?',
        ),
        (
            'env_cfg = dict(mp_cfg=dict(mp_start_metod="spawn"))',
            r'env_cfg\.mp_cfg\.mp_start_metod\. Did you mean env_cfg\.mp_cfg\.mp_start_method\?',
        ),
        (
            'pseudo_masks = dict(rulee=dict(normalisation="joint"))',
            r'pseudo_masks\.rulee\. Did you mean pseudo_masks\.rule\?',
        ),
    ],
)
def test_keys__that_nothing_reads(tmp_path, text, message):
    with pytest.raises(ConfigError, match=r'config .*mine\.py: .*' + message):
        load(tmp_path, text)


def test_keys__that_are_read(tmp_path):
    text = """
classifier = dict(
    load_from='x', custom_hooks=[], default_hooks=dict(logger=dict(interval=5)), auto_scale_lr=None)
randomness = dict(deterministic=False, diff_rank_seed=False)
env_cfg = dict(resource_limit=4096, dist_cfg=dict(timeout=5))
"""
    assert load(tmp_path, text).classifier.load_from == 'x'


def test_keys__of_a_section_that_a_stage_of_ones_own_reads(tmp_path):
    stage = "dict(name='a', type='mine.Stage', section='classifier')"
    config = load(tmp_path, f'pipeline = [{stage}]\nclassifier = dict(rounds=3)')
    assert config.classifier.rounds == 3
    stages = f"[{stage}, dict(name='b', type='mine.Stage', section='other', masks_section='more')]"
    assert load(tmp_path, f'pipeline = {stages}\nother = dict(x=1)\nmore = dict(y=1)').more.y == 1


def test_keys__of_a_section_in_an_override(tmp_path):
    with pytest.raises(ConfigError, match=r'nothing reads classifier\.modle'):
        load(tmp_path, '', {'classifier': {'_delete_': True, 'modle': {}}})


@pytest.mark.parametrize('value', ['inf', '-inf', 'nan'])
def test_finite__leaf_is_named(tmp_path, value):
    with pytest.raises(ConfigError, match=rf"model\.swv\.omega: found {value}, .*'drop'"):
        load(tmp_path, '', {'model.swv.omega': float(value)})
    text = f"param_scheduler = [dict(type='PolyLR', eta_min=float('{value}'))]"
    with pytest.raises(
        ConfigError, match=rf'^param_scheduler\.0\.eta_min: found {value}, [^!]*r\.$'
    ):
        load(tmp_path, text)


def test_seed__of_one_data_set(tmp_path):
    message = r'train_dataloader\.dataset\.seed: found 77, but randomness\.seed is 0'
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, '', {'train_dataloader.dataset.seed': 77})
    with pytest.raises(ConfigError, match=r'^classifier\.' + message):
        load(tmp_path, 'classifier = dict(train_dataloader=dict(dataset=dict(seed=77)))')


def test_seed__of_a_dumped_config_follows_randomness(tmp_path):
    (tmp_path / 'config.py').write_text(load_config(TINY, {'randomness.seed': 3}).pretty_text)
    assert load_config(tmp_path / 'config.py').test_dataloader.dataset.seed == 3
    changed = load_config(tmp_path / 'config.py', {'randomness.seed': 4})
    assert changed.test_dataloader.dataset.seed == 4


def test_arguments__of_what_a_type_names():
    assert arguments_of(find_class('IterTimerHook')) == (set(), False)
    names, others = arguments_of(find_class('PSPHead'))
    assert {'pool_scales', 'dropout_ratio'} <= names  # one is of its parent
    assert not others
    assert arguments_of(lambda a, *b, **c: a) == ({'a'}, True)
    check_arguments({'type': 'DefaultSampler', 'shuffle': True}, 'sampler')
    check_arguments({}, 'val_cfg', default='ValLoop')
    with pytest.raises(ConfigError, match=r'sampler\.shufle\. Did you mean sampler\.shuffle\?'):
        check_arguments({'type': 'DefaultSampler', 'shufle': True}, 'sampler')
    with pytest.raises(ConfigError, match=r"sampler\.type: found 'Sampler', which is registered"):
        check_arguments({'type': 'Sampler'}, 'sampler')
    for wrong in ({'shuffle': True}, None, 'DefaultSampler'):
        with pytest.raises(ConfigError, match=r'sampler: found .* expected dict\(type='):
            check_arguments(wrong, 'sampler')
