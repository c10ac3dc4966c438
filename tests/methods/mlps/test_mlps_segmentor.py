"""The segmentor of MLPS: its loss by hand, its masks, and where the gate takes part."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from mlps_models import CLASSIFIER, PREPROCESSOR, make_batch, sample, segmentor

from arml.errors import ConfigError, DataError
from arml.methods.mlps.segmentor import WEIGHTS

GATE = dict(model=CLASSIFIER)


def logits_by_hand(inputs, size):
    network = segmentor().train().networks[0]
    logits = network.decode_head(network.extract_feat(inputs))
    return F.interpolate(logits, size, mode='bilinear')


def masks_by_hand(samples):
    fields = dict(deep='gt_sem_seg', middle='middle', shallow='shallow')
    return {
        name: torch.stack([one.get(field).data[0] for one in samples]).long()
        for name, field in fields.items()
    }


def test_loss__is_the_weighted_sum_over_the_masks():
    model = segmentor().train()
    inputs, samples = make_batch()
    samples[0].gt_sem_seg.data[:, :3] = 4  # background of one mask alone
    samples[1].middle.data[:, :, :5] = 255
    losses = model.loss(inputs, samples)
    masks, logits = masks_by_hand(samples), logits_by_hand(inputs, (16, 16))
    expected = {
        f'loss_{name}': WEIGHTS[name]
        * F.cross_entropy(logits, mask.where(mask < 4, 255), ignore_index=255)
        for name, mask in masks.items()
    }
    assert list(losses) == ['loss_deep', 'loss_middle', 'loss_shallow']
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)
    total = model.parse_losses(losses)[0]
    torch.testing.assert_close(total, sum(expected.values()))


def test_loss__by_hand_of_two_pixels():
    """Logits (ln 3, 0, 0, 0) everywhere: probability 1/2 of class 0, 1/6 of any other."""
    model = segmentor().eval()
    head = model.networks[0].decode_head.conv_seg
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([3.0, 1, 1, 1]).log())
    size = (16, 16)
    masks = dict(gt_sem_seg=torch.zeros(size).long(), middle=torch.ones(size).byte(),
                 shallow=torch.full(size, 2).byte())  # fmt: skip
    losses = model.loss(torch.randn(1, 3, 16, 16), [sample(masks)])
    total = sum(losses.values()).item()
    assert total == pytest.approx(0.6 * math.log(2) + 0.4 * math.log(6), abs=1e-6)


def test_loss__as_released():
    """Background in all masks alike; the logit built from the deep mask; divided by the batch once more."""
    model = segmentor(
        background=dict(logit='zero'),
        mask_loss=dict(type='arml.PixelCrossEntropy', extra_batch_division=True),
    ).train()
    inputs, samples = make_batch()
    for one in samples:
        for field in ('gt_sem_seg', 'middle', 'shallow'):
            one.get(field).data[:, :4, :6] = 4
    losses = model.loss(inputs, samples)
    masks, logits = masks_by_hand(samples), logits_by_hand(inputs, (16, 16))
    white = 100.0 * (masks['deep'] == 4)[:, None]
    five = torch.cat([logits, white], dim=1)
    for name, mask in masks.items():
        expected = WEIGHTS[name] * F.cross_entropy(five, mask) / len(inputs)
        torch.testing.assert_close(losses[f'loss_{name}'], expected)


def test_masks__of_weight_0_are_not_needed():
    model = segmentor(mask_weights=dict(deep=1.0, middle=0, shallow=0.0)).train()
    inputs, samples = make_batch()
    for one in samples:
        del one.middle, one.shallow
    assert list(model.loss(inputs, samples)) == ['loss_deep']
    shallow = segmentor(mask_weights=dict(shallow=1.0))
    masks = shallow.masks_of(make_batch()[1])
    assert list(masks) == ['shallow']
    assert masks['shallow'].target.dtype == torch.int64


def test_masks__what_is_missing_or_of_another_size_is_refused():
    model = segmentor()
    _, samples = make_batch()
    del samples[1].middle
    with pytest.raises(ConfigError, match=r"mask_weights: found 'middle'.*LoadFurtherMasks"):
        model.masks_of(samples)
    _, samples = make_batch()
    for one in samples:
        one.shallow = type(one.shallow)(data=one.shallow.data[:, :8])
    with pytest.raises(DataError, match=r"'shallow': found \(3, 8, 16\), expected \(3, 16, 16\)"):
        model.masks_of(samples)


@pytest.mark.parametrize(
    ('weights', 'words'),
    [
        (dict(deep=-0.1), r'mask_weights\.deep: found -0\.1'),
        (dict(deep=True), r'mask_weights\.deep: found True'),
        (dict(deep=float('nan')), r'mask_weights\.deep: found nan'),
        (dict(deep=0.0, middle=0.0), 'expected one of them above 0'),
    ],
)
def test_weights__raise(weights, words):
    with pytest.raises(ConfigError, match=words):
        segmentor(mask_weights=weights)


def gated(probabilities, **gate):
    """A segmentor whose classifier finds the same probabilities in every tile."""
    model = segmentor(gate={**GATE, **gate}).eval()
    plain = segmentor().eval()
    model.load_state_dict({**model.state_dict(), **{k: v for k, v in plain.state_dict().items()}})
    scores = torch.tensor(probabilities).logit()
    model.gate.network.class_scores = lambda features: scores.expand(len(features), -1)
    return model, plain


def test_gate__takes_absent_classes_out_of_every_prediction():
    model, plain = gated([0.9, 0.05, 0.5, 0.1])
    inputs, samples = make_batch()
    free = plain.encode_decode(inputs)
    assert set(free.argmax(1).unique().tolist()) - {0, 2}  # else this would show nothing
    probabilities = model.predict_probabilities(inputs)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3, 16, 16))
    assert not probabilities[:, [1, 3]].any()
    torch.testing.assert_close(probabilities[:, [0, 2]], free[:, [0, 2]].softmax(1))
    found = model.predict(inputs, copy.deepcopy(samples))
    for index, one in enumerate(found):
        assert torch.equal(one.pred_sem_seg.data[0], probabilities[index].argmax(0))
        assert torch.isfinite(one.seg_logits.data).all()
    assert torch.equal(model(inputs, mode='tensor'), model.encode_decode(inputs))


def test_gate__zero_is_as_coded():
    model, plain = gated([0.9, 0.05, 0.5, 0.1], mode='zero')
    inputs, _ = make_batch()
    expected = plain.encode_decode(inputs) * torch.tensor([1.0, 0, 1, 0]).view(1, 4, 1, 1)
    assert torch.equal(model.encode_decode(inputs), expected)
    torch.testing.assert_close(model.predict_probabilities(inputs), expected.softmax(1))
    # Wherever both present classes are below 0, an absent one wins.
    lost = (plain.encode_decode(inputs)[:, [0, 2]] < 0).all(1)
    assert lost.any()
    assert (model.encode_decode(inputs).argmax(1)[lost] == 1).all()


def test_gate__without_a_class_above_it():
    model, plain = gated([0.01, 0.02, 0.08, 0.03])
    inputs, _ = make_batch()
    assert (model.encode_decode(inputs).argmax(1) == 2).all()  # the most probable one
    model, _ = gated([0.01, 0.02, 0.08, 0.03], mode='zero')
    assert not model.encode_decode(inputs).any()  # as coded: class 0 everywhere
    model, _ = gated([0.01, 0.02, 0.08, 0.03], threshold=0.0)
    assert torch.equal(model.encode_decode(inputs), plain.encode_decode(inputs))


@pytest.mark.parametrize('in_validation', [False, True])
def test_gate__validation_goes_without_it_unless_told(in_validation):
    model, plain = gated([0.9, 0.05, 0.05, 0.05], in_validation=in_validation)
    tiles = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    _, samples = make_batch(2)

    def labels(step):
        data = {'inputs': list(tiles), 'data_samples': copy.deepcopy(samples)}
        return torch.stack([one.pred_sem_seg.data for one in step(data)])

    assert (labels(model.test_step) == 0).all()
    free = labels(plain.test_step)
    assert (free != 0).any()
    expected = torch.zeros_like(free) if in_validation else free
    assert torch.equal(labels(model.val_step), expected)
    assert (labels(model.test_step) == 0).all()  # and it is on again


def test_prediction__depends_on_the_array_alone():
    model = segmentor(gate=GATE).eval()
    inputs, samples = make_batch()
    whole = model.predict_probabilities(inputs)
    for index in range(len(inputs)):
        alone = model.predict_probabilities(inputs[index : index + 1])
        torch.testing.assert_close(alone[0], whole[index])
    assert torch.equal(model.train(False).predict_probabilities(inputs), whole)
    model.predict(inputs, samples)
    assert torch.equal(model.predict_probabilities(inputs), whole)


def test_segmentor__without_a_gate_is_the_common_one():
    model = segmentor().eval()
    assert model.gate is None
    assert not [name for name in model.state_dict() if name.startswith('gate')]
    assert segmentor(gate=dict(enabled=False)).gate is None
    assert segmentor(data_preprocessor=dict(PREPROCESSOR, normalise='tile')).gate is None
