"""What is refused before any stage runs, in the first seconds, by the name of the leaf."""

import pytest
from tiny_run import load

from arml.errors import CheckpointError, ConfigError
from arml.pipeline.run import build_stages


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    from conftest import write_fake_tissue

    return write_fake_tissue(tmp_path_factory.mktemp('checks') / 'data')


def check(data, folder, continued=False, change=None, **overrides):
    config = load(data, folder / 'store', **overrides)
    if change:
        change(config)
    for stage in build_stages(config):
        stage.check(continued=continued)


def test_checks__a_good_config_passes(data, tmp_path):
    check(data, tmp_path)


@pytest.mark.parametrize(
    ('leaf', 'value', 'message'),
    [
        ('model.lambda_', 2, r'model\.lambda_: found 2'),
        ('model.lambda_', 'much', r"model\.lambda_: found 'much', expected float"),
        ('model.network.backbone.model_name', 'resnet1', "has no 'resnet1'"),
        ('model.network.type', 'EncoderDecodr', 'model: cannot be used.*EncoderDecodr'),
        ('model.network.decode_head.channels', 'x', 'model: cannot be used'),
        ('model.network.decode_head.num_classes', 7, 'model: the head has 7 outputs.* to 4 or 5'),
        ('classifier.model.head.num_classes', 5, r'classifier\.model: the head has 5 .* to 4'),
        ('classifier.model.presence_threshold', 'abc', r"presence_threshold: found 'abc', expected float"),
        ('classifier.model.presence_threshold', 1.5, r'classifier\.model\.presence_threshold: found 1\.5'),
        ('optim_wrapper.optimizer.type', 'Adamm', r'^optim_wrapper\.optimizer\.type: found .Adamm.*Did you mean Adam'),
        ('optim_wrapper.type', 'OptimWraper', 'optim_wrapper: cannot be used.*OptimWraper'),
        ('optim_wrapper.optimizer.lr', 'fast', 'optim_wrapper: cannot be used|optimizer.lr'),
        ('classifier.optim_wrapper.optimizer.type', 'Adamm', r'classifier\.optim_wrapper\.optimizer\.type: found'),
        ('param_scheduler.0.type', 'PollyLR', r"param_scheduler\.0\.type: found 'PollyLR'"),
        ('param_scheduler.0.eta_min', 'low', r'param_scheduler\.0'),
        ('train_cfg.max_epochs', 0, r'train_cfg\.max_epochs: found 0'),
        ('classifier.train_cfg.val_interval', 0, r'classifier\.train_cfg\.val_interval: found 0'),
        ('train_cfg.type', 'IterBasedTrainLoop', 'IterBasedTrainLoop.*EpochBasedTrainLoop'),
        ('train_dataloader.batch_size', 1, r'train_dataloader\.batch_size: found 1.*batch norm'),
        ('train_dataloader.batch_size', 13, 'batch_size: found 13 .* at most 12'),
        ('train_dataloader.batch_size', 0, 'batch_size: found 0'),
        ('train_dataloader.dataset.indices', 3, 'batch_size: found 4 .*3 tiles'),
        ('default_hooks.checkpoint.save_best', 'mIOU', "reports no 'mIOU'. It reports: .*mIoU"),
        ('default_hooks.checkpoint.save_best', 'label_accuracy', "reports no 'label_accuracy'"),
        ('val_evaluator.type', 'arml.TisueMetric', 'val_evaluator: cannot be used.*TisueMetric'),
        ('test_evaluator.protocols', ('C',), 'C'),
        ('pseudo_masks.rule.normalisation', 'all', 'all'),
        ('pseudo_masks.maps', dict(type='arml.GradCAMMaps', layers=['net.layer9']), 'layer9'),
        ('pseudo_masks.dataloader.pin_memory', True, 'pseudo_masks.dataloader: nothing reads pin_memory'),
    ],
)  # fmt: skip
def test_checks__refused(data, tmp_path, leaf, value, message):
    with pytest.raises(ConfigError, match=f'(?s){message}'):
        check(data, tmp_path, **{leaf.replace('.', '__'): value})


def test_checks__a_single_tile_in_the_last_batch(data, tmp_path):
    given = {'train_dataloader__batch_size': 11, 'train_dataloader__drop_last': False}
    with pytest.raises(ConfigError, match='would hold a single tile'):
        check(data, tmp_path, **given)
    frozen = {
        'classifier__model__backbone__norm_eval': True,
        'classifier__model__neck__enabled': False,
    }
    check(data, tmp_path, classifier__train_dataloader__batch_size=1, **frozen)  # no statistics


def test_checks__weights_to_start_from(data, tmp_path):
    with pytest.raises(CheckpointError, match=r'start\.pth: no such file'):
        check(data, tmp_path, load_from=str(tmp_path / 'start.pth'))
    check(data, tmp_path, continued=True, load_from=str(tmp_path / 'start.pth'))


def test_checks__bind_to_a_leaf_that_no_class_has(data, tmp_path):
    def change(config):
        config.pipeline[2]['bind'] = {'train_dataloader.dataset.mask': 'pseudo_masks/final'}

    with pytest.raises(ConfigError, match="stage segmentor, bind .*there is no 'mask'"):
        check(data, tmp_path, change=change)


def test_checks__no_training_data(data, tmp_path):
    with pytest.raises(ConfigError, match='stage segmentor: train_cfg is missing'):
        check(data, tmp_path, train_cfg=None)
