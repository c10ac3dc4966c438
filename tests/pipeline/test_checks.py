"""What is refused before any stage runs, in the first seconds, by the name of the leaf."""

import pytest
import torch
from tiny_run import load

from arml.config.sections import set_leaf
from arml.errors import CheckpointError, ConfigError, DataError
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


#: What a config FILE may say and ``--cfg-options`` refuses.
MISSPELT = [
    ('train_dataloader.batchsize', 4, r'^nothing reads train_dataloader\.batchsize\. Did .*\.batch_size\?'),
    ('classifier.val_dataloader.batchsize', 4, r'^nothing reads classifier\.val_dataloader\.batchsize\.'),
    ('test_dataloader.batchsize', 4, r'^nothing reads test_dataloader\.batchsize\.'),
    ('train_dataloader.sampler.shufle', True, r'reads train_dataloader\.sampler\.shufle\. Did .*\.shuffle'),
    ('train_dataloader.sampler.type', 'DefaultSampel', r"train_dataloader\.sampler\.type: found 'DefaultSampel'"),
    ('train_dataloader.sampler', None, r'train_dataloader\.sampler: found None, expected dict\(type='),
    ('train_dataloader.batch_sampler', dict(type='BatchSampler', drop=1), r'batch_sampler\.(type|drop)'),
    ('train_dataloader.dataset.splt', 'val', r'^nothing reads train_dataloader\.dataset\.splt\. Did .*\.split'),
    ('test_dataloader.dataset.pipeline.0.tpye', 'x', r'^nothing reads test_dataloader\.dataset\.pipeline\.0\.tpye'),
    ('default_hooks.checkpoint.sav_best', 'mIoU', r'reads default_hooks\.checkpoint\.sav_best\. Did .*\.save_best'),
    ('classifier.default_hooks.checkpoint.sav_best', None, r'reads classifier\.default_hooks\.checkpoint\.sav_best'),
    ('default_hooks.checkpoint.interval', 0, r'checkpoint\.interval: found 0'),
    ('default_hooks.chekpoint', dict(interval=1), r'default_hooks\.chekpoint: found .* Did .*\.checkpoint\?'),
    ('default_hooks.parameter_chek', None, r'default_hooks\.parameter_chek: found None.* Did .*\.parameter_check\?'),
    ('custom_hooks.0.epoch', 3, r'^nothing reads custom_hooks\.0\.epoch'),
    ('test_cfg.foo', 3, r'^nothing reads test_cfg\.foo\..* It is TestLoop'),
    ('val_cfg.foo', 3, r'^nothing reads val_cfg\.foo\..* It is ValLoop'),
    ('train_cfg.max_epoch', 3, r'^nothing reads train_cfg\.max_epoch\. Did you mean train_cfg\.max_epochs'),
]  # fmt: skip


@pytest.mark.parametrize(('leaf', 'value', 'message'), MISSPELT)
def test_checks__keys_of_a_file_that_nothing_reads(data, tmp_path, leaf, value, message):
    with pytest.raises(ConfigError, match=f'(?s){message}'):
        check(data, tmp_path, change=lambda config: set_leaf(config._cfg_dict, leaf, value))


@pytest.mark.parametrize(('stage', 'leaf'), [(2, 'train_dataloader'), (-1, 'test_dataloader')])
def test_checks__no_key_is_made_of_what_nothing_reads(data, tmp_path, stage, leaf):
    config = load(data, tmp_path / 'store')
    config[leaf].dataset.splt = 'val'
    with pytest.raises(ConfigError, match=rf'nothing reads {leaf}\.dataset\.splt'):
        build_stages(config)[stage].settings()


def test_checks__hooks_of_ones_own(data, tmp_path):
    def change(config):
        config.default_hooks['mine'] = dict(type='EMAHook', momentum=0.1, priority='LOW')
        config.default_hooks['timer'] = None

    check(data, tmp_path, change=change)


@pytest.mark.parametrize(
    ('leaf', 'value', 'message'),
    [
        ('input_size', (16, 16), r'^input_size: found \(16, 16\), but what train_data.* is \(32, 32\)'),
        ('classifier.input_size', (16, 32), r'^classifier\.input_size: found .* Set classifier\.input_size=\(32, 32\)'),
        ('classifier.input_size', 32, r'^classifier\.input_size: found 32, expected \(height, width\)'),
        ('tile_size', (64, -64), r'^tile_size: found \(64, -64\), expected'),
        ('tile_size', (64, 64), r'^tile_size: found \(64, 64\), but .*\.png is \(32, 32\)'),
        ('pipeline', dict(type='Resize', scale=(24, 24)), r'^input_size: found \(32, 32\).*is \(24, 24\)'),
        ('pipeline', dict(type='Resize', scale=(0, 0)), r'^train_dataloader\.dataset\.pipeline: cannot'),
    ],
)  # fmt: skip
def test_checks__sizes_of_the_card(data, tmp_path, leaf, value, message):
    def change(config):
        if leaf == 'pipeline':
            config.train_dataloader.dataset.pipeline.insert(2, value)
        else:
            set_leaf(config._cfg_dict, leaf, value)

    with pytest.raises(ConfigError, match=f'(?s){message}'):
        check(data, tmp_path, change=change)


def test_checks__sizes_are_left_where_the_loader_takes_other_products(data, tmp_path):
    def change(config):
        config.pipeline[2].bind['train_dataloader.dataset.indices'] = 'pseudo_masks/final'
        config.input_size = (16, 16)

    check(data, tmp_path, change=change)


def test_checks__first_tile_is_damaged(tmp_path):
    from conftest import write_fake_tissue

    data = write_fake_tissue(tmp_path / 'data')
    tile = sorted((data / 'train').iterdir())[0]
    for content in (tile.read_bytes()[:60], b'no image'):
        tile.write_bytes(content)
        with pytest.raises(DataError, match=tile.name.split('[')[0]):
            check(data, tmp_path)


def test_checks__initial_weights_that_do_not_fit(data, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': {'net.conv1.weight': torch.zeros(1)}}, path)
    with pytest.raises(CheckpointError, match=r'weights\.pth is of another architecture'):
        check(data, tmp_path, load_from=str(path))
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    with pytest.raises(CheckpointError, match=r'weights\.pth do not fit TimmBackbone'):
        check(data, tmp_path, classifier__model__backbone__init_cfg=init_cfg)
    check(data, tmp_path, continued=True, classifier__model__backbone__init_cfg=init_cfg)


@pytest.mark.parametrize('value', ['weights.pth', ['weights.pth'], 3])
def test_checks__init_cfg_is_no_file_name(data, tmp_path, value):
    message = (
        r'classifier\.model\.backbone\.init_cfg: found .*, expected None, from scratch, or dict'
    )
    with pytest.raises(ConfigError, match=message):
        check(data, tmp_path, classifier__model__backbone__init_cfg=value)


def test_checks__floors(data, tmp_path):
    def other(config):
        config.pipeline = [dict(name='floors', type='arml.FloorStage', floors=('constnt',))]

    def none(config):
        config.pipeline = [dict(name='floors', type='arml.FloorStage')]
        config.pop('test_dataloader')

    def misspelt(config):
        config.pipeline = [dict(name='floors', type='arml.FloorStage')]
        config.test_dataloader.dataset['splt'] = 'test'

    for change, message in (
        (other, r"floors: found \[?\(?'constnt'.*expected some of"),
        (none, 'stage floors: test_dataloader is missing'),
        (misspelt, r'test_dataloader\.dataset: cannot be used.*splt'),
    ):
        with pytest.raises(ConfigError, match=message):
            check(data, tmp_path, change=change)


def test_checks__what_is_missing(data, tmp_path):
    with pytest.raises(ConfigError, match=r'^classifier\.optim_wrapper is missing'):
        check(data, tmp_path, classifier__optim_wrapper=None)
    with pytest.raises(ConfigError, match=r'^train_cfg\.max_epochs is missing'):
        check(data, tmp_path, change=lambda config: config.train_cfg.pop('max_epochs'))
    with pytest.raises(ConfigError, match=r"save_best: found 'mIoU', but nothing validates"):
        check(data, tmp_path, val_dataloader=None, val_cfg=None, val_evaluator=None)
    with pytest.raises(
        ConfigError, match=r'test_dataloader, test_evaluator missing in section classifier'
    ):
        check(
            data,
            tmp_path,
            classifier__test_dataloader=None,
            classifier__test_evaluator=None,
        )
    with pytest.raises(ConfigError, match=r'test_evaluator missing in the top level'):
        check(data, tmp_path, test_evaluator=None)


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
