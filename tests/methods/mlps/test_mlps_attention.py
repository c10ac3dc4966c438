"""Progressive dropout attention: equations against loops, the schedule, and when it takes part."""

import pytest
import torch
from mmseg.structures import SegDataSample

from arml.errors import ConfigError
from arml.methods.mlps import (
    ProgressiveDropoutAttention,
    class_activations,
    drop_strongest,
    dropout_attention,
    dropout_threshold,
)
from arml.pseudo.gradcam import GradCAMMaps
from arml.registry import MODELS

BACKBONE = dict(
    type='arml.TimmBackbone',
    model_name='resnet18',
    output_stride=8,
    out_indices=(3,),
    pretrained=False,
    model_args=dict(channels=(4, 8, 8, 8)),
)


def naive_attention(features, weights, mu):
    """The four steps, written out position by position."""
    tiles, channels, height, width = features.shape
    classes = len(weights)
    result = torch.zeros(tiles, 1, height, width, dtype=features.dtype)
    for n in range(tiles):
        for k in range(classes):
            values = {}
            for y in range(height):
                for x in range(width):
                    total = sum(features[n, d, y, x] * weights[k, d] for d in range(channels))
                    values[y, x] = max(float(total), 0.0)
            peak = max(values.values())
            for (y, x), value in values.items():
                if value <= mu * peak:
                    result[n, 0, y, x] += value / classes
    return result


@pytest.mark.parametrize('mu', [0.0, 0.4, 0.65, 0.98, 1.0])
@pytest.mark.parametrize('classes', [3, 4])
def test_attention__equals_the_loop(mu, classes):
    torch.manual_seed(0)
    features = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    weights = torch.randn(classes, 5, dtype=torch.float64)
    expected = naive_attention(features, weights, mu)
    torch.testing.assert_close(dropout_attention(features, weights, mu), expected)
    torch.testing.assert_close(dropout_attention(features, weights[..., None, None], mu), expected)


def test_attention__by_hand():
    """One channel, two classes: activations (0, 1, 2, 4) and, with weight -1 on the negative, (3, 0, 0, 0)."""
    features = torch.tensor([-3.0, 1.0, 2.0, 4.0]).view(1, 1, 2, 2)
    weights = torch.tensor([[1.0], [-1.0]])
    activations = class_activations(features, weights)
    assert activations.flatten(2).tolist() == [[[0, 1, 2, 4], [3, 0, 0, 0]]]
    # Bounds 0.5 * 4 and 0.5 * 3: 4 and 3 are dropped, 2 is not (it is not above its bound).
    assert drop_strongest(activations, 0.5).flatten(2).tolist() == [[[0, 1, 2, 0], [0, 0, 0, 0]]]
    assert dropout_attention(features, weights, 0.5).flatten().tolist() == [0, 0.5, 1, 0]
    # Not normalised, no residual: features (-3, 1, 2, 4) times it.
    module = ProgressiveDropoutAttention(mu_start=0.5, decay=1.0, floor=0.0, start_epoch=0).train()
    assert module(features, weights[..., None, None]).flatten().tolist() == [0, 0.5, 2, 0]


def test_attention__at_1_drops_nothing_and_at_0_everything():
    activations = torch.rand(3, 4, 5, 6) + 0.1
    assert torch.equal(drop_strongest(activations, 1.0), activations)
    assert not drop_strongest(activations, 0.0).any()


def test_attention__tiles_and_classes_have_maxima_of_their_own():
    activations = torch.rand(2, 3, 4, 4)
    found = drop_strongest(activations, 0.7)
    for n in range(2):
        for k in range(3):
            one = drop_strongest(activations[n : n + 1, k : k + 1], 0.7)
            assert torch.equal(found[n, k], one[0, 0])
    assert torch.equal(drop_strongest(100 * activations, 0.7) != 0, found != 0)


def test_attention__gradients_are_exact_and_reach_features_and_head():
    torch.manual_seed(1)
    features = torch.randn(1, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, w: dropout_attention(f, w, 0.8), (features, weights))
    for gradient in torch.autograd.grad(
        dropout_attention(features, weights, 0.8).sum(), (features, weights)
    ):
        assert gradient.any()


def test_schedule__reaches_its_floor_after_22_epochs():
    mu = [dropout_threshold(epoch, 1.0, 0.98, 0.65) for epoch in range(40)]
    assert mu[0] == 1.0
    assert mu[1] == pytest.approx(0.98)
    assert mu[20] == pytest.approx(0.668, abs=1e-3)  # where a training of 20 epochs ends
    assert mu[21] == pytest.approx(0.98**21)
    assert mu[21] > 0.65
    assert mu[22:] == [0.65] * 18
    # As coded it is multiplied while it is above the floor: the last step goes below.
    released, coded = 1.0, []
    for _ in range(40):
        coded.append(released)
        released *= 0.98 if released > 0.65 else 1
    assert [dropout_threshold(epoch, 1.0, 0.98, 0.98**22) for epoch in range(40)] == pytest.approx(
        coded
    )


def test_module__epochs_alone_decide():
    torch.manual_seed(0)
    features, weights = torch.randn(2, 5, 4, 4), torch.randn(3, 5, 1, 1)
    module = ProgressiveDropoutAttention().train()
    for epoch in range(3):
        module.set_epoch(epoch)
        assert not module.active
        assert module(features, weights) is features
    module.set_epoch(3)
    assert module.mu == pytest.approx(0.98**3)  # it has fallen in the epochs before
    expected = features * dropout_attention(features, weights, 0.98**3)
    assert torch.equal(module(features, weights), expected)
    fresh = ProgressiveDropoutAttention().train()  # a resumed run knows nothing of epochs 0 to 2
    fresh.set_epoch(3)
    assert torch.equal(fresh(features, weights), expected)
    assert module.eval()(features, weights) is features
    assert not module.state_dict()
    assert not list(module.parameters())
    assert (module.start_epoch, ProgressiveDropoutAttention(enabled=False).start_epoch) == (3, 0)


def classifier(seed=0, attention=None, **settings):
    torch.manual_seed(seed)
    return MODELS.build(
        dict(
            type='arml.MLPSClassifier',
            backbone=BACKBONE,
            head=dict(type='arml.LinearMapHead', num_classes=4, in_channels=8, dropout=0.0),
            attention=attention,
            **settings,
        )
    )


def samples(count):
    return [SegDataSample(metainfo=dict(image_label=(1, 0, 1, 0))) for _ in range(count)]


def test_classifier__scores_stand_behind_the_attention_in_training_only():
    model = classifier(attention=dict(type='arml.ProgressiveDropoutAttention', mu_start=0.7)).eval()
    inputs = torch.randn(2, 3, 32, 32)
    model.attention.set_epoch(5)
    features = model.extract_feat(inputs)
    plain = model.head.scores(features)
    assert torch.equal(model.class_scores(features), plain)
    assert torch.equal(model.class_maps(features), model.head.maps(features))
    maps = GradCAMMaps(layers=['net.layer2', 'features'])(model, inputs)
    model.attention.train()
    weights = model.head.classifier.weight
    expected = model.head.scores(
        features * dropout_attention(features, weights, model.attention.mu)
    )
    assert torch.equal(model.class_scores(features), expected)
    assert not torch.equal(expected, plain)
    # Maps are read from features, which know nothing of it.
    assert torch.equal(model.class_maps(features), model.head.maps(features))
    model.eval()
    again = GradCAMMaps(layers=['net.layer2', 'features'])(model, inputs)
    assert all(torch.equal(maps[name], again[name]) for name in ('net.layer2', 'final'))


def test_classifier__before_its_first_epoch_and_off_it_is_the_common_one():
    inputs = torch.randn(2, 3, 32, 32)
    common = dict(
        type='arml.MultiLabelClassifier',
        backbone=BACKBONE,
        head=dict(type='arml.LinearMapHead', num_classes=4, in_channels=8, dropout=0.0),
    )
    torch.manual_seed(0)
    expected = MODELS.build(common).train().loss(inputs, samples(2))['loss_cls']
    for attention, epoch in ((None, 2), (dict(type='arml.ProgressiveDropoutAttention',
                                              enabled=False), 9)):  # fmt: skip
        model = classifier(attention=attention).train()
        model.attention.set_epoch(epoch)
        assert torch.equal(model.loss(inputs, samples(2))['loss_cls'], expected)
        assert set(model.state_dict()) == set(MODELS.build(common).state_dict())
    model = classifier().train()
    model.attention.set_epoch(3)
    assert not torch.equal(model.loss(inputs, samples(2))['loss_cls'], expected)


def test_classifier__the_head_has_the_gradient_of_both_its_places():
    """Loss = score of class 0, D = 1, so all is a product of numbers."""
    model = classifier(attention=dict(type='arml.ProgressiveDropoutAttention', mu_start=0.6,
                                      decay=1.0, floor=0.0, start_epoch=0)).train()  # fmt: skip
    features = torch.zeros(1, 8, 1, 2)
    features[0, 0] = torch.tensor([1.0, 2.0])
    with torch.no_grad():
        model.head.classifier.weight.zero_()
        model.head.classifier.weight[0, 0] = 3.0
    model.class_scores(features)[0, 0].backward()
    # C_0 = (3, 6); 6 > 0.6 * 6 is dropped; M = (3, 0) / 4; F M = (0.75, 0); score = 3 * 0.75 / 2 = w^2 / 8,
    # so its derivative is w / 4, half of it through the attention.
    gradient = model.head.classifier.weight.grad
    assert gradient[0, 0].item() == pytest.approx(0.75)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(mu_start=-0.1), r'attention\.mu_start: found -0\.1'),
        (dict(decay=0), r'attention\.decay: found 0'),
        (dict(decay=1.1), r'attention\.decay: found 1\.1'),
        (dict(floor=True), r'attention\.floor: found True'),
        (dict(start_epoch=1.5), r'attention\.start_epoch: found 1\.5'),
    ],
)
def test_module__refuses_by_name(settings, words):
    with pytest.raises(ConfigError, match=words):
        ProgressiveDropoutAttention(**settings)


def test_classifier__refuses_another_head():
    with pytest.raises(
        ConfigError, match=r'head\.type: found PixelCrossEntropy, expected arml\.Linear'
    ):
        MODELS.build(dict(type='arml.MLPSClassifier', backbone=BACKBONE,
                          head=dict(type='arml.PixelCrossEntropy')))  # fmt: skip
