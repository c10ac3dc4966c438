"""The gate: its equations by hand, the tiles it sees, and how the classifier is held."""

import copy

import pytest
import torch
from mlps_models import CLASSIFIER, PREPROCESSOR, segmentor
from mmengine.optim import build_optim_wrapper

from arml.config import load_config  # noqa: F401  (registers everything)
from arml.engine import checkpoint as checkpoints
from arml.engine.hooks.parameter_check import ParameterCheckHook
from arml.errors import CheckpointError, ConfigError
from arml.methods.mlps import gate_logits, passing
from arml.methods.mlps.frozen import Frozen
from arml.methods.mlps.pixels import Pixels, check_translation, translate
from arml.registry import MODELS

GATE = dict(model=CLASSIFIER)


# --- equations


def test_passing__is_strict_and_keeps_the_best_where_it_is_told_to():
    probabilities = torch.tensor([[0.1, 0.2, 0.9], [0.02, 0.05, 0.1]])
    assert passing(probabilities, 0.1, False).tolist() == [[False, True, True], [False] * 3]
    assert passing(probabilities, 0.1, True).tolist() == [[False, True, True], [False, False, True]]


def test_gate__as_coded_an_absent_class_wins_where_all_others_are_below_0():
    logits = torch.tensor([-1.0, 3.0, -2.0]).view(1, 3, 1, 1)
    present = torch.tensor([[True, False, True]])
    zero = gate_logits(logits, present, 'zero')
    assert zero.flatten().tolist() == [-1, 0, -2]
    assert zero.argmax(1).item() == 1  # the class that was to be kept out
    never = gate_logits(logits, present, 'minus_infinity')
    assert never.argmax(1).item() == 0
    expected = torch.tensor([-1.0, -2.0]).softmax(0)
    torch.testing.assert_close(never.softmax(1).flatten()[[0, 2]], expected)
    assert never.softmax(1).flatten()[1] == 0


def test_gate__equals_the_loop():
    torch.manual_seed(0)
    logits, present = torch.randn(2, 3, 4, 5), torch.rand(2, 3) > 0.5
    for mode, value in (('zero', 0.0), ('minus_infinity', torch.finfo(torch.float32).min / 2)):
        expected = logits.clone()
        for n in range(2):
            for k in range(3):
                if not present[n, k]:
                    expected[n, k] = value
        assert torch.equal(gate_logits(logits, present, mode), expected)


def test_gate__minus_infinity_survives_a_resize():
    logits = gate_logits(torch.randn(1, 2, 4, 4), torch.tensor([[False, True]]), 'minus_infinity')
    larger = torch.nn.functional.interpolate(logits, (7, 9), mode='bilinear')
    assert torch.isfinite(larger).all()
    assert (larger.argmax(1) == 1).all()


def test_gate__background_always_passes():
    logits = torch.tensor([1.0, 2.0, 0.5]).view(1, 3, 1, 1)
    found = gate_logits(logits, torch.tensor([[False, False]]), 'minus_infinity')
    assert found.softmax(1).flatten().tolist() == [0, 0, 1]


def test_gate_logits__raises():
    with pytest.raises(ValueError, match="mode: found 'none'"):
        gate_logits(torch.zeros(1, 2, 1, 1), torch.ones(1, 2).bool(), 'none')
    with pytest.raises(ValueError, match=r'present: found \(1, 4\)'):
        gate_logits(torch.zeros(1, 2, 1, 1), torch.ones(1, 4).bool(), 'zero')


# --- pixels

PREPROCESSORS = {
    'dataset': PREPROCESSOR,
    'other': dict(PREPROCESSOR, mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]),
    'bgr': dict(PREPROCESSOR, bgr_to_rgb=False, mean=[90.0, 80.0, 70.0]),
    'unit': dict(type='arml.TissueDataPreProcessor', normalise='unit', bgr_to_rgb=True),
    'unit_bgr': dict(type='arml.TissueDataPreProcessor', normalise='unit'),
    'tile': dict(type='arml.TissueDataPreProcessor', normalise='tile', bgr_to_rgb=True),
    'tile_bgr': dict(type='arml.TissueDataPreProcessor', normalise='tile'),
    'plain': dict(type='SegDataPreProcessor', size_divisor=1),
}


def preprocessed(name, tiles):
    return MODELS.build(PREPROCESSORS[name])({'inputs': list(tiles)})['inputs']


@pytest.mark.parametrize('target', sorted(PREPROCESSORS))
@pytest.mark.parametrize('source', sorted(PREPROCESSORS))
def test_translate__gives_what_the_other_preprocessing_gives(source, target):
    tiles = torch.randint(0, 256, (2, 3, 6, 5), generator=torch.Generator().manual_seed(0))
    tiles = tiles.to(torch.uint8)
    pair = Pixels.of(PREPROCESSORS[source]), Pixels.of(PREPROCESSORS[target])
    if source.startswith('tile') and not target.startswith('tile'):
        with pytest.raises(ConfigError, match="found 'tile'.*the colours of a tile are lost"):
            check_translation(*pair)
        return
    check_translation(*pair)
    seen = preprocessed(source, tiles)
    found = translate(seen, *pair)
    torch.testing.assert_close(found, preprocessed(target, tiles), atol=2e-5, rtol=2e-5)
    assert (found is seen) == (source == target)


def test_translate__another_epsilon_of_tiles_is_refused():
    tile = PREPROCESSORS['tile']
    with pytest.raises(ConfigError, match=r'epsilon 1\).*epsilon 2\)'):
        check_translation(Pixels.of(tile), Pixels.of({**tile, 'epsilon': 2.0}))
    # What a mode does not read makes no difference.
    assert Pixels.of(PREPROCESSORS['unit']) == Pixels.of(
        {**PREPROCESSORS['unit'], 'mean': [1.0] * 3}
    )
    assert Pixels.of(None) == Pixels.of(PREPROCESSORS['plain'])


# --- the classifier inside the segmentor


def trained_classifier(tmp_path, **card):
    torch.manual_seed(7)
    model = MODELS.build(copy.deepcopy(CLASSIFIER))
    path = tmp_path / 'classifier.pth'
    checkpoints.save({'state_dict': model.state_dict(), 'meta': {'arml': card}}, path)
    return model.eval(), str(path)


def test_frozen__is_in_the_state_dict_and_nowhere_else():
    holder = torch.nn.Sequential(torch.nn.Linear(2, 2), Frozen(torch.nn.BatchNorm1d(2)))
    assert {'0.weight', '1.weight', '1.running_mean'} < set(holder.state_dict())
    assert [name for name, _ in holder.named_parameters()] == ['0.weight', '0.bias']
    assert not any(isinstance(module, torch.nn.BatchNorm1d) for module in holder.modules())
    held = holder[1].network
    holder.train()
    assert not held.training
    assert not any(parameter.requires_grad for parameter in held.parameters())
    state = {name: torch.full_like(value, 3) for name, value in holder.state_dict().items()}
    holder.load_state_dict(state)
    assert held.running_mean.tolist() == [3, 3]
    assert holder.double()[1].network.weight.dtype == torch.float64
    assert holder.to('meta')[1].network.weight.is_meta
    copied = copy.deepcopy(holder)[1].network
    assert copied is not held


def test_frozen__loads_strictly():
    holder = torch.nn.Sequential(Frozen(torch.nn.Linear(2, 2)))
    with pytest.raises(RuntimeError, match=r'Missing key.*0\.bias'):
        holder.load_state_dict({'0.weight': torch.zeros(2, 2)})
    with pytest.raises(RuntimeError, match=r'Unexpected key.*0\.more'):
        holder.load_state_dict({**holder.state_dict(), '0.more': torch.zeros(1)})
    with pytest.raises(RuntimeError, match='size mismatch for weight'):
        holder.load_state_dict({**holder.state_dict(), '0.weight': torch.zeros(3, 2)})


def test_gate__is_no_part_of_the_training(tmp_path):
    _, path = trained_classifier(tmp_path)
    model = segmentor(gate=dict(GATE, checkpoint=path))
    plain = segmentor()
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in plain.named_parameters()]
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    held = {id(parameter) for parameter in model.gate.network.parameters()}
    inside = {id(p) for group in wrapper.optimizer.param_groups for p in group['params']}
    assert held
    assert not held & inside
    assert set(ParameterCheckHook()._expected(model)) == {n for n, _ in plain.named_parameters()}
    # Epochs of the segmentor are none of the classifier's.
    assert not any(hasattr(module, 'set_epoch') for module in model.modules())
    model.train()
    assert not model.gate.network.training


def test_gate__changes_no_initial_weight(tmp_path):
    _, path = trained_classifier(tmp_path)
    model = segmentor(gate=dict(GATE, checkpoint=path))
    model.init_weights()
    plain = segmentor()
    for name, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_gate__reads_the_classifier_once_and_the_checkpoint_has_it_from_then_on(tmp_path):
    classifier, path = trained_classifier(tmp_path)
    model = segmentor(gate=dict(GATE, checkpoint=path)).eval()
    model.init_weights()
    tiles = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    seen = classifier.data_preprocessor({'inputs': list(tiles)})['inputs']
    expected = classifier(seen, mode='tensor').sigmoid()
    inputs = model.data_preprocessor({'inputs': list(tiles)})['inputs']
    torch.testing.assert_close(model.gate.probabilities(inputs), expected)

    content = {'state_dict': model.state_dict()}
    checkpoints.save(content, tmp_path / 'segmentor.pth')
    settings = dict(type='arml.MLPSSegmentor', network=segmentor_network(), gate=GATE,
                    data_preprocessor=PREPROCESSOR)  # fmt: skip
    again = checkpoints.trained_model(
        settings, checkpoints.load(tmp_path / 'segmentor.pth'), 'segmentor.pth'
    )
    assert torch.equal(again.predict_probabilities(inputs), model.predict_probabilities(inputs))


def segmentor_network():
    from mlps_models import NETWORK

    return copy.deepcopy(NETWORK)


def test_gate__init_weights_raises(tmp_path):
    with pytest.raises(CheckpointError, match=r'model\.gate\.checkpoint: found None'):
        segmentor(gate=GATE).init_weights()
    _, path = trained_classifier(tmp_path, normalise='tile')
    with pytest.raises(CheckpointError, match=r"data_preprocessor\.normalise is 'tile'"):
        segmentor(gate=dict(GATE, checkpoint=path)).init_weights()
    other = {**CLASSIFIER, 'head': {**CLASSIFIER['head'], 'num_classes': 3}}
    _, path = trained_classifier(tmp_path)
    five = segmentor_network()
    five['decode_head']['num_classes'] = 3
    with pytest.raises(CheckpointError, match='of another architecture'):
        segmentor(gate=dict(model=other, checkpoint=path), network=five).init_weights()


@pytest.mark.parametrize(
    ('gate', 'words'),
    [
        (dict(GATE, treshold=0.2), "model.gate: found 'treshold'"),
        (dict(GATE, threshold=1.0), r'model\.gate\.threshold: found 1\.0'),
        (dict(GATE, mode='off'), r"model\.gate\.mode: found 'off'.*enabled=False"),
        (dict(GATE, enabled=1), r'model\.gate\.enabled: found 1'),
        (dict(GATE, in_validation=None), r'model\.gate\.in_validation: found None'),
        (dict(model=None), r"model\.gate\.model: found None.*model_of='classifier'"),
        (dict(model=dict(type='arml.PixelCrossEntropy')), 'found a PixelCrossEntropy'),
        (dict(model={**CLASSIFIER, 'head': {**CLASSIFIER['head'], 'num_classes': 2}}),
         'a classifier of 2 classes, expected as many as the network has outputs, 4'),
    ],
)  # fmt: skip
def test_gate__what_cannot_be_used_is_refused_by_name(gate, words):
    with pytest.raises(ConfigError, match=words):
        segmentor(gate=gate)


def test_gate__tiles_whose_colours_are_lost_are_refused():
    with pytest.raises(ConfigError, match="found 'tile'.*trained with 'unit'"):
        segmentor(gate=GATE, data_preprocessor=PREPROCESSORS['tile'])
    model = segmentor(gate=dict(GATE, enabled=False), data_preprocessor=PREPROCESSORS['tile'])
    assert model.gate is None
