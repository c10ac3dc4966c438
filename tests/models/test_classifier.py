"""The multi-label classifier, its head and its loss."""

import math

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample

from arml.errors import ConfigError, DataError
from arml.models.classifiers.head import LinearMapHead
from arml.models.classifiers.loss import MultiLabelSoftMarginLoss
from arml.models.classifiers.multi_label import to_original_size
from arml.registry import MODELS

MEAN, STD = [100.0, 120.0, 140.0], [50.0, 60.0, 70.0]


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(
        {
            'type': 'arml.MultiLabelClassifier',
            'backbone': {
                'type': 'arml.TimmBackbone',
                'model_name': 'resnet18',
                'output_stride': 8,
                'out_indices': (1, 2),
                'pretrained': False,
            },
            'neck': {'type': 'arml.ARSNeck', 'in_channels': 128, 'gamma_init': 0.1},
            'head': {'type': 'arml.LinearMapHead', 'num_classes': 4, 'in_channels': 128},
            'data_preprocessor': {
                'type': 'mmseg.SegDataPreProcessor',
                'mean': MEAN,
                'std': STD,
                'bgr_to_rgb': True,
                'size': (32, 32),
                'test_cfg': {'size': (32, 32)},
            },
            **changes,
        }
    )


def batch(size=(32, 32), ori=(20, 24), labels=((1, 0, 0, 1), (0, 1, 0, 0))):
    generator = torch.Generator().manual_seed(1)
    images = [torch.randint(0, 256, (3, *size), generator=generator).byte() for _ in labels]
    samples = [
        SegDataSample(metainfo={'image_label': label, 'ori_shape': ori, 'img_path': f'{i}.png'})
        for i, label in enumerate(labels)
    ]
    return {'inputs': images, 'data_samples': samples}


def test_classifier__loss_is_the_equation_and_reaches_every_parameter():
    model = build().train()
    model.head.dropout.p = 0.0
    data = model.data_preprocessor(batch(), True)
    losses = model(**data, mode='loss')
    logits = model(data['inputs'], mode='tensor')
    labels = torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0]])
    expected = 0.0
    for n in range(2):
        for k in range(4):
            p = 1 / (1 + math.exp(-logits[n, k].item()))
            expected -= math.log(p if labels[n, k] else 1 - p) / 8
    assert losses['loss_cls'].item() == pytest.approx(expected, rel=1e-5)
    right = ((logits > 0) == labels.bool()).float().mean()
    torch.testing.assert_close(losses['label_accuracy'], right)
    losses['loss_cls'].backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_classifier__scores_are_the_means_of_the_maps():
    model = build().eval()
    features = model.extract_feat(torch.randn(2, 3, 32, 32))
    maps = model.class_maps(features)
    assert maps.shape == (2, 4, 4, 4)
    torch.testing.assert_close(model.class_scores(features), maps.mean((2, 3)))


def test_classifier__neck_is_part_of_the_features_at_inference():
    plain, ars = build(neck=None).eval(), build().eval()
    ars.backbone.load_state_dict(plain.backbone.state_dict())
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(ars.extract_feat(x), ars.neck(plain.extract_feat(x)))
    assert not torch.equal(ars.extract_feat(x), plain.extract_feat(x))


def test_classifier__predict_has_original_size_and_ignores_true_labels():
    model = build().eval()
    first = model.val_step(batch())
    other = model.val_step(batch(labels=((0, 0, 1, 0), (1, 1, 1, 1))))
    for sample, changed in zip(first, other, strict=True):
        assert sample.pred_sem_seg.data.shape == (1, 20, 24)
        assert sample.pred_sem_seg.data.dtype == torch.int64
        assert sample.seg_logits.data.shape == (4, 20, 24)
        assert sample.pred_scores.shape == (4,)
        assert torch.equal(sample.pred_sem_seg.data, changed.pred_sem_seg.data)
        present = sample.pred_scores > 0.25
        assert present[sample.pred_sem_seg.data.unique()].all()


def test_classifier__features_are_computed_once_in_prediction():
    model = build().eval()
    calls = []
    model.backbone.register_forward_hook(lambda *args: calls.append(1))
    model.val_step(batch())
    assert len(calls) == 1


def test_classifier__presence_threshold_and_fallback():
    model = build()
    probabilities = torch.tensor([[0.25, 0.26, 0.9, 0.0], [0.1, 0.2, 0.05, 0.0]])
    expected = torch.tensor([[False, True, True, False], [False, True, False, False]])
    assert torch.equal(model.present(probabilities), expected)
    model.eval()
    inputs = torch.randn(2, 3, 32, 32)
    features = model.extract_feat(inputs)
    assert torch.equal(model.presence(inputs), model.presence(inputs, features))


def test_classifier__white_rule_sees_the_image():
    white = {'type': 'arml.MaskRule', 'white_area': {'threshold': 200, 'min_size': 50}}
    model = build(mask_rule=white).eval()
    data = batch(ori=(32, 32))
    data['inputs'][0][:, :10] = 255
    data['inputs'][0][:, 10:] = 30
    sample = model.val_step(data)[0]
    assert (sample.pred_sem_seg.data[0, :10] == 4).all()
    assert (sample.pred_sem_seg.data[0, 10:] < 4).all()


def test_classifier__restores_the_image():
    model = build()
    data = batch()
    inputs = model.data_preprocessor(data, False)['inputs']
    restored = model.restore_image(inputs[0]).round()
    torch.testing.assert_close(restored, data['inputs'][0][[2, 1, 0]].float())
    bgr = build(data_preprocessor={'type': 'mmseg.SegDataPreProcessor'})
    inputs = bgr.data_preprocessor(data, False)['inputs']
    torch.testing.assert_close(bgr.restore_image(inputs[0]), restored)


def test_to_original_size__cuts_the_padding_off():
    maps = torch.arange(16.0).reshape(1, 4, 4)
    cut = to_original_size(maps, (4, 4), {'padding_size': (0, 1, 0, 2), 'ori_shape': (2, 3)})
    assert torch.equal(cut, maps[:, :2, :3])
    assert torch.equal(to_original_size(maps, (4, 4), {}), maps)


def test_classifier__any_mmseg_backbone():
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    backbone = {
        'type': 'mmseg.MixVisionTransformer',
        'embed_dims': 8,
        'num_heads': [1, 1, 1, 1],
        'num_layers': [1, 1, 1, 1],
        'out_indices': (0, 1, 2, 3),
    }
    head = {'type': 'arml.LinearMapHead', 'num_classes': 4, 'in_channels': 8}
    model = build(backbone=backbone, neck=None, head=head).eval()
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 4)


def test_classifier__white_rule_needs_the_colours():
    with pytest.raises(ConfigError, match="normalise='tile' with a mask_rule"):
        build(
            mask_rule={'type': 'arml.MaskRule', 'white_area': {}},
            data_preprocessor={'type': 'arml.TissueDataPreProcessor', 'normalise': 'tile'},
        )


def test_classifier__refuses():
    model = build()
    data = model.data_preprocessor(batch(labels=((1, 0, 1), (0, 1, 0))), True)
    with pytest.raises(DataError, match='0.png: image_label has 3 entries'):
        model(**data, mode='loss')
    data = batch()
    data['data_samples'] = [SegDataSample(metainfo={'img_path': 'a.png'}) for _ in range(2)]
    with pytest.raises(DataError, match='a.png: has no image-level label'):
        model(**model.data_preprocessor(data, True), mode='loss')
    with pytest.raises(ValueError, match="mode: found 'x'"):
        model(torch.zeros(1, 3, 32, 32), mode='x')
    for wrong in (1, -0.1, '0.25', None, True, float('nan')):
        with pytest.raises(ConfigError, match='presence_threshold: found .* in \\[0, 1\\)'):
            build(presence_threshold=wrong)
    inputs = torch.zeros(1, 3, 32, 32)
    with pytest.raises(ConfigError, match='head.in_channels: found 64, expected 128'):
        build(head={'type': 'arml.LinearMapHead', 'num_classes': 4, 'in_channels': 64})(inputs)
    with pytest.raises(ConfigError, match='neck.in_channels: found 64, expected 128'):
        build(neck={'type': 'arml.ARSNeck', 'in_channels': 64})(inputs)
    unused = {'type': 'arml.ARSNeck', 'in_channels': 64, 'enabled': False}
    assert build(neck=unused)(inputs).shape == (1, 4)
    with pytest.raises(ConfigError, match=r'dropout: found 1\.0'):
        LinearMapHead(4, 8, dropout=1.0)


def test_linear_map_head__drops_whole_channels_in_training_only():
    torch.manual_seed(0)
    head = LinearMapHead(1, 64, dropout=0.5)
    torch.nn.init.ones_(head.classifier.weight)
    features = torch.ones(1, 64, 3, 3)
    head.train()
    # Kept channels count double, so the score is twice the number of kept channels.
    assert head(features).item() % 2 == 0
    assert 20 < head(features).item() < 108
    head.eval()
    assert head(features).item() == 64


def test_soft_margin_loss__half_precision_is_computed_in_float32():
    logits = torch.randn(3, 4)
    labels = (torch.rand(3, 4) > 0.5).float()
    loss = MultiLabelSoftMarginLoss(loss_weight=2.0)
    half = loss(logits.bfloat16(), labels)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, loss(logits.bfloat16().float(), labels))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    torch.testing.assert_close(loss(logits, labels), 2 * expected)
    assert np.isfinite(loss(torch.full((1, 4), 1e4), labels[:1]).item())
