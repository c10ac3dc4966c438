"""The rows of Table 1 are trained alike: same rates and lengths, same batches, same choice, same test."""

import pytest
from conftest import ROOT

from arml.config import load_config
from arml.config.chosen_file import files_in, upper_bounds_in
from arml.config.load import read_config

SAME = (
    'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_dataloader', 'test_dataloader', 'val_evaluator',
    'test_evaluator', 'val_cfg', 'test_cfg', 'input_size', 'env_cfg', 'custom_hooks',
)  # fmt: skip


@pytest.mark.parametrize('name', ['table1_bcss', 'table1_tiny_ebhi'])
def test_protocol__of_every_row_is_that_of_the_first(name):
    file = ROOT / 'configs' / f'{name}.py'
    base = read_config(file)
    _, files = files_in(base)
    bounds = upper_bounds_in(base).get('method', frozenset())
    first = load_config(file)
    for method in files:
        config = load_config(file, {'method': method})
        if method in bounds:  # the one exception: twice as long
            assert config.train_cfg.max_epochs == config.param_scheduler[0].end == 32
            config = load_config(file, {'method': method, 'train_cfg.max_epochs': 16})
        for key in SAME:
            assert config[key] == first[key], (method, key)
        assert config.train_dataloader.batch_size == first.train_dataloader.batch_size
        assert config.default_hooks.checkpoint == first.default_hooks.checkpoint
        ours, theirs = config.classifier, first.classifier
        assert ours.train_cfg.max_epochs == theirs.train_cfg.max_epochs
        assert ours.param_scheduler == theirs.param_scheduler
        assert ours.train_dataloader.batch_size == theirs.train_dataloader.batch_size
        assert ours.optim_wrapper.optimizer.lr == theirs.optim_wrapper.optimizer.lr
