"""What kind of value a leaf takes."""

import typing
from collections.abc import Sequence

import pytest
import torch
from conftest import ROOT

from arml.config import load_config
from arml.config.kinds import check_kind, kinds_of
from arml.errors import ConfigError

TINY = ROOT / 'configs' / 'arml_tiny_synthetic.py'


@pytest.fixture(scope='module')
def config():
    return load_config(TINY)._cfg_dict


@pytest.mark.parametrize(
    ('path', 'value'),
    [
        ('model.swv.omega', 2), ('model.swv.omega', 2.5), ('model.swv.omega', 'drop'),
        ('model.swv.normalise', True), ('model.lambda_', 1), ('model.mask_weight', None),
        ('model.srm.relation', 'kl'), ('train_cfg.max_epochs', 3), ('optim_wrapper.optimizer.lr', 1e-3),
        ('optim_wrapper.optimizer.lr', 1), ('optim_wrapper.optimizer.betas', [0.8, 0.9]),
        ('classifier.model.head.dropout', 0.5), ('model.network.backbone.out_indices', [2]),
        ('model.network.backbone.init_cfg', None), ('train_dataloader.batch_size', 4),
        ('train_dataloader.drop_last', False), ('train_dataloader.dataset.augmentation', 'flips'),
        ('param_scheduler.0.eta_min', 0), ('data_root', 'elsewhere'), ('randomness.seed', 3),
        ('model.network.decode_head.dropout_ratio', 0.3), ('default_hooks.checkpoint.save_best', None),
        ('model.srm', {'alpha': 3}),
    ],
)  # fmt: skip
def test_check_kind__accepts(config, path, value):
    check_kind(config, path, value)


@pytest.mark.parametrize(
    ('path', 'value', 'expected'),
    [
        ('model.swv.omega', True, 'a number or a word'),
        ('model.swv.omega', [1], 'a number or a word'),
        ('model.swv.normalise', 1, 'True or False'),
        ('model.swv.normalise', 'yes', 'True or False'),
        ('model.lambda_', 'drop', 'a number'),
        ('model.mask_weight', 'x', 'a number or None'),
        ('model.srm.relation', 3, 'a word'),
        ('model.srm.per_tile', 2.5, 'a whole number'),
        ('train_cfg.max_epochs', 3.0, 'a whole number'),
        ('optim_wrapper.optimizer.lr', 'small', 'a number or None'),
        ('train_dataloader.drop_last', 0, 'True or False or None'),
        ('train_dataloader.batch_size', 'x', 'a number or None'),
        ('data_root', 3, 'a word or None'),
        ('randomness.seed', 'x', 'a number or None'),
        ('param_scheduler.0.eta_min', 'x', 'a number or None'),
    ],
)
def test_check_kind__raises(config, path, value, expected):
    with pytest.raises(ConfigError) as caught:
        check_kind(config, path, value)
    assert str(caught.value) == f'{path}: found {value!r}, expected {expected}'


@pytest.mark.parametrize(
    ('hint', 'kinds'),
    [
        (int, {int}), (float | str, {float, str}), (typing.Optional[bool], {bool, type(None)}),  # noqa: UP045
        (Sequence[int], {list}), (tuple[float, float], {list}), (list, {list}), (dict[str, int], {dict}),
        (typing.Literal['a', 1], {str, int}), (typing.Any, None), (object, None), (torch.Tensor, None),
        (float | torch.Tensor, None), (typing.TypeVar('T'), None), (int | list[int], {int, list}),
    ],
)  # fmt: skip
def test_kinds_of(hint, kinds):
    assert kinds_of(hint) == kinds
