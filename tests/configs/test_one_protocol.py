"""The rows of Table 1 differ in the method and nothing else; what else differs is listed here."""

from fnmatch import fnmatch

import pytest
from conftest import ROOT

from arml.config import load_config
from arml.config.chosen_file import files_in, upper_bounds_in
from arml.config.load import read_config
from arml.config.tree import nodes

TABLES = ['table1_bcss', 'table1_luad', 'table1_tiny_ebhi', 'table1_tiny_synthetic']
#: What a method is: its networks, losses and pipeline. All else is the protocol, pixels included.
METHOD = ('title', 'pipeline.*', 'model.*', 'classifier.model.neck*', 'default_hooks.parameter_check.*')
PROTOCOL = ('model.data_preprocessor.*',)
#: What other rows have of their own, beside that.
MAPS = ('classifier.model.maps.*', 'classifier.model.mask_rule.*', 'pseudo_masks.maps.*', 'pseudo_masks.rule.*')
OWN = {
    'arml_resnet38': (),
    'arml_mit-b3': (),
    # Its sweeps and docs/table1 say so: pixels and augmentation are those of the released code.
    'arml_released': (
        'pseudo_masks.maps.*', '*model.data_preprocessor.normalise', '*train_dataloader.dataset.augmentation',
        'classifier.optim_wrapper.optimizer.momentum', 'classifier.optim_wrapper.paramwise_cfg.lr_mult.neck',
        'train_dataloader.drop_last',
    ),
    'cam': (),
    'gradcam_plus_plus': MAPS,
    'mlps': (
        'classifier.model.type', 'classifier.model.attention.*', 'pseudo_masks.maps.*',
        'classifier.optim_wrapper.paramwise_cfg.lr_mult.neck', 'train_dataloader.dataset.pipeline.*',
    ),
    'oeem': (
        *MAPS, 'classifier.model.head.*', 'classifier.model.backbone.*', 'classifier.train_cfg.val_interval',
    ),
    # No masks of their own: nothing of the classifier differs, see below.
    **dict.fromkeys(('pspnet', 'deeplabv3plus', 'upernet', 'segformer', 'bisenetv1'), ()),
    'full_supervision': ('train_cfg.max_epochs', 'param_scheduler.*.end', 'train_dataloader.dataset.masks'),
}  # fmt: skip
#: Rows that learn from the masks that ARML learns from.
SAME_MASKS = {'arml_resnet38', 'arml_mit-b3', 'pspnet', 'deeplabv3plus', 'upernet', 'segformer', 'bisenetv1'}


def fits(leaf, patterns):
    return any(fnmatch(leaf, pattern) for pattern in patterns)


def differences(config, first):
    """The leaves that two configs do not have alike."""
    ours, theirs = (
        {path: node for path, node in nodes(each._cfg_dict, '') if not isinstance(node, dict | list | tuple)}
        for each in (config, first)
    )
    absent = object()
    return {
        leaf
        for leaf in ours.keys() | theirs.keys()
        if ours.get(leaf, absent) != theirs.get(leaf, absent)
    }


@pytest.mark.parametrize('name', TABLES)
def test_protocol__rows_differ_in_the_method(name):
    file = ROOT / 'configs' / f'{name}.py'
    base = read_config(file)
    _, files = files_in(base)
    bounds = upper_bounds_in(base).get('method', frozenset())
    first = load_config(file)
    for method in files:
        config = load_config(file, {'method': method})
        found = differences(config, first)
        strange = {
            leaf
            for leaf in found
            if not fits(leaf, OWN.get(method, ()))
            and (not fits(leaf, METHOD) or fits(leaf, PROTOCOL))
        }
        assert not strange, (method, strange)
        if method in SAME_MASKS:
            masks = {leaf for leaf in found if leaf.startswith(('classifier.', 'pseudo_masks.'))}
            assert not masks, (method, masks)
        if method in bounds:  # the one exception: twice as long
            assert config.train_cfg.max_epochs == config.param_scheduler[0].end == 32
