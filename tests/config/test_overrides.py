"""Overrides: what exists is changed, what does not exist is refused by name."""

import pytest
from conftest import ROOT

from arml.config import load_config
from arml.errors import ConfigError

TINY = ROOT / 'configs' / 'arml_tiny_synthetic.py'


def override(**paths):
    return load_config(TINY, {key.replace('__', '.'): value for key, value in paths.items()})


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        (
            'modle.swv.omega',
            r"there is no 'modle' at the top level.*Did you mean model\.swv\.omega",
        ),
        ('model.swv.omegaa', r"there is no 'omegaa' under model\.swv.*model\.swv\.omega"),
        ('model.lambda', r"there is no 'lambda' under model.*model\.lambda_"),
        ('randomness.sed', r"there is no 'sed' under randomness.*randomness\.seed"),
        ('classifier.model.neck.enable', r'Did you mean classifier\.model\.neck\.enabled'),
        ('optim_wrapper.optimizer.learning_rate', r"no 'learning_rate' under optim_wrapper"),
        ('train_dataloader.dataset.pipeline.0.sclae', r"no 'sclae' under train_dataloader"),
        ('train_dataloader.dataset.pipeline.99.type', r"which has no '99'"),
        ('train_dataloader.dataset.pipeline.first.type', r"which has no 'first'"),
        ('store.folder', r"store is '.*', which has no 'folder'"),
        ('model.swv.omega.value', r"model\.swv\.omega is 2, which has no 'value'"),
        ('batch_size', r"there is no 'batch_size' at the top level"),
        ('classifer.train_cfg.max_epochs', r'classifier\.train_cfg\.max_epochs'),
        ('', r"there is no '' at the top level"),
        ('model..swv', r"there is no '' under model"),
    ],
)
def test_overrides__unknown_path(path, message):
    with pytest.raises(ConfigError, match='(?s)override .*' + message):
        load_config(TINY, {path: 3})


@pytest.mark.parametrize('path', ['model', 'model.swv', 'classifier', 'randomness'])
def test_overrides__a_group_is_not_a_value(path):
    with pytest.raises(ConfigError, match='is a group of settings'):
        load_config(TINY, {path: 'off'})


def test_overrides__a_dict_is_checked_leaf_by_leaf():
    assert override(model__swv={'omega': 5}).model.swv.omega == 5
    with pytest.raises(ConfigError, match=r"there is no 'omegaa' under model\.swv"):
        override(model__swv={'omegaa': 5})


def test_overrides__a_dict_that_replaces_is_taken_as_it_is():
    config = override(model__network__backbone={'_delete_': True, 'type': 'ResNet', 'depth': 18})
    assert config.model.network.backbone == {'type': 'ResNet', 'depth': 18}


def test_overrides__argument_that_the_class_has_and_the_config_leaves_out():
    config = override(
        model__network__decode_head__init_cfg=None,
        model__network__backbone__norm_eval=True,
        classifier__model__neck__reactivation='released',
        optim_wrapper__clip_grad={'max_norm': 1.0},
        optim_wrapper__optimizer__betas=(0.8, 0.9),
        train_dataloader__dataset__indices=4,
        param_scheduler__0__end=2,
    )
    assert config.model.network.backbone.norm_eval is True
    assert config.optim_wrapper.optimizer.betas == (0.8, 0.9)
    assert config.train_dataloader.dataset.indices == 4


def test_overrides__argument_of_a_parent_class_behind_kwargs():
    # dropout_ratio of PSPHead is an argument of its base class.
    config = override(model__network__decode_head__ignore_index=7)
    assert config.model.network.decode_head.ignore_index == 7


def test_overrides__self_is_no_argument():
    with pytest.raises(ConfigError, match="there is no 'self'"):
        override(model__swv__self=1)


@pytest.mark.parametrize('path', ['load_from', 'work_dir', 'store', 'auto_scale_lr'])
def test_overrides__what_is_read_need_not_be_there(path):
    assert load_config(TINY, {path: 'x'})[path] == 'x'


def test_overrides__several_at_once_and_the_rest_untouched():
    plain, changed = override(), override(model__swv__omega=3, model__srm__alpha=1.5)
    assert (changed.model.swv.omega, changed.model.srm.alpha) == (3, 1.5)
    changed.model.swv.omega, changed.model.srm.alpha = 2, 30.0
    assert changed.to_dict() == plain.to_dict()


def test_overrides__one_bad_path_leaves_none_applied():
    from mmengine.config import Config

    from arml.config import apply_overrides

    config = Config({'a': 1, 'b': 2})
    with pytest.raises(ConfigError, match="there is no 'c'"):
        apply_overrides(config, {'a': 5, 'c': 1})
    assert config.a == 1


@pytest.mark.parametrize(
    'path', ['resume', 'launcher', 'tta_model', 'tta_pipeline', 'find_unused_parameters']
)
def test_overrides__what_nothing_reads_is_refused(path):
    with pytest.raises(ConfigError, match=f"there is no '{path}' at the top level"):
        load_config(TINY, {path: 'x'})
