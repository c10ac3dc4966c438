"""What Grad-CAM costs, what it leaves behind and what it refuses."""

import pytest
import torch
from narrow import LABELS, NECKS, RELEASED, classifier, count_passes, tiles
from torch import nn

from arml.errors import ConfigError
from arml.pseudo.gradcam import GradCAMMaps
from arml.pseudo.gradcam_reader import groups
from arml.pseudo.maps import WeightMaps
from arml.pseudo.recording import recording, without_weight_gradients
from arml.registry import MAPS


@pytest.fixture(scope='module')
def models() -> dict[str, nn.Module]:
    return {name: classifier(neck) for name, neck in NECKS.items()}


@pytest.fixture
def model(models) -> nn.Module:
    return models['active']


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """For each backward pass the number of layers it goes to, 0 where it only tries the head."""
    return count_passes(monkeypatch)


@pytest.mark.parametrize('neck', NECKS)
def test_gradcam__times_positions_is_the_weight_map(models, neck, passes):
    model, images = models[neck], tiles(3, 40)
    maps = GradCAMMaps()(model, images)['final']
    assert passes == [0]  # the trial of the head alone
    expected = WeightMaps(relu=False)(model, images)['final']
    torch.testing.assert_close(maps * 25, expected)


@pytest.mark.parametrize('neck', ['none', 'off', 'training only'])
def test_gradcam__bn7_is_what_the_head_reads_without_a_neck(models, neck, passes):
    model, images = models[neck], tiles(5)
    maps = GradCAMMaps(['bn7'])(model, images, present=LABELS)['final']
    assert passes == [0]
    torch.testing.assert_close(maps, GradCAMMaps()(model, images, present=LABELS)['final'])


def test_gradcam__one_backward_pass_for_each_labelled_class_serves_all_layers(models, passes):
    images = tiles(5)
    GradCAMMaps(RELEASED)(models['active'], images, present=LABELS)
    # One tile with one class, two with two, one with three.
    assert passes == [3] * (1 + 2 + 3)
    passes.clear()
    GradCAMMaps(RELEASED)(models['none'], images, present=LABELS)
    assert sorted(passes) == [0] + [2] * (1 + 2 + 3)
    passes.clear()
    GradCAMMaps(RELEASED)(models['active'], images)
    assert passes == [3] * 4


def test_gradcam__a_tile_runs_forward_once_and_not_at_all_without_a_class(model, monkeypatch):
    sizes, real = [], model.extract_feat
    monkeypatch.setattr(model, 'extract_feat', lambda x: (sizes.append(len(x)), real(x))[1])
    GradCAMMaps(RELEASED)(model, tiles(5), present=LABELS)
    assert sorted(sizes) == [1, 1, 2]
    sizes.clear()
    features = real(tiles(5))
    GradCAMMaps()(model, tiles(5), features=features, present=LABELS)
    assert sizes == []
    GradCAMMaps(flips=True)(model, tiles(5), features=features)
    assert sizes == [5] * 3


@pytest.mark.parametrize('layers', [['bn7'], ['bn7', 'features']])
def test_gradcam__tiles_stay_together_where_no_backward_pass_follows(models, layers, monkeypatch):
    model, images = models['none'], tiles(5)
    expected = GradCAMMaps(relu=True, flips=True)(model, images, present=LABELS)['final']
    assert (expected[~LABELS] == 0).all()
    sizes, real = [], model.extract_feat
    monkeypatch.setattr(model, 'extract_feat', lambda x: (sizes.append(len(x)), real(x))[1])
    found = GradCAMMaps(layers, relu=True, flips=True)(model, images, present=LABELS)
    # The first group shows that the head reads the layer, the other tiles need not be sorted.
    assert sizes == [1, 3, 4, 4, 4]
    for maps in found.values():
        torch.testing.assert_close(maps, expected)


def test_gradcam__nothing_is_kept_before_the_first_layer_nor_for_weights(model):
    graph, flags = {}, []

    def look(name):
        return lambda _m, _i, output: graph.update({name: output.requires_grad})

    hooks = [
        model.backbone.get_submodule(f'{name}.conv_branch2b1').register_forward_hook(look(name))
        for name in ('b3', 'b4_5', 'b5', 'b7')
    ]
    weights = list(model.parameters())
    hooks.append(
        model.backbone.b7.register_forward_pre_hook(
            lambda *_: flags.extend(weight.requires_grad for weight in weights)
        )
    )
    try:
        GradCAMMaps(RELEASED)(model, tiles(2))
    finally:
        for hook in hooks:
            hook.remove()
    assert graph == {'b3': False, 'b4_5': False, 'b5': True, 'b7': True}
    assert len(flags) == len(weights)
    assert not any(flags)


def state_of(model):
    return (
        [p.requires_grad for p in model.parameters()],
        [p.grad is None for p in model.parameters()],
        [module.training for module in model.modules()],
        [len(module._forward_hooks) for module in model.modules()],
        {key: value.clone() for key, value in model.state_dict().items()},
    )


@pytest.mark.parametrize('fails', [False, True])
def test_gradcam__leaves_the_model_as_found(model, fails, monkeypatch):
    model.head.classifier.weight.requires_grad_(False)
    before = state_of(model)
    assert any(before[0])
    assert not all(before[0])
    if fails:
        monkeypatch.setattr(model.head, 'scores', lambda _: pytest.fail('on the way'))
        with pytest.raises(pytest.fail.Exception, match='on the way'):
            GradCAMMaps(RELEASED)(model, tiles(2))
    else:
        random = torch.get_rng_state()
        GradCAMMaps((*RELEASED, 'features'))(model, tiles(2), present=LABELS[:2])
        assert torch.equal(torch.get_rng_state(), random)
    after = state_of(model)
    model.head.classifier.weight.requires_grad_(True)
    assert after[:4] == before[:4]
    for key, value in before[4].items():
        assert torch.equal(after[4][key], value)


def test_gradcam__given_features_are_not_changed_nor_part_of_a_graph(model):
    images = tiles(2)
    features = model.extract_feat(images)
    before = features.detach().clone()
    maps = GradCAMMaps()(model, images, features=features)['final']
    assert not maps.requires_grad
    assert torch.equal(features, before)
    torch.testing.assert_close(maps, GradCAMMaps()(model, images)['final'])


@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize('layers', [('features',), RELEASED])
def test_gradcam__whatever_the_caller_s_mode(model, mode, layers):
    expected = GradCAMMaps(layers)(model, tiles(2), present=LABELS[:2])
    with mode():
        images, present = tiles(2), LABELS[:2].clone()
        features = model.extract_feat(images)
        maps = GradCAMMaps(layers)(model, images, features=features, present=present)
        grad = torch.is_grad_enabled()
    assert grad == (mode is torch.enable_grad)
    for name, found in expected.items():
        torch.testing.assert_close(maps[name], found)


def test_gradcam__full_precision_under_autocast(model):
    expected = GradCAMMaps(RELEASED)(model, tiles(2))
    with torch.autocast('cpu', torch.bfloat16):
        maps = GradCAMMaps(RELEASED)(model, tiles(2))
    for name, found in expected.items():
        torch.testing.assert_close(maps[name], found)


def test_groups__every_labelled_class_once():
    found = groups(LABELS, 5)
    pairs = [
        (int(tile), int(index))
        for some, classes in found
        for tile, row in zip(some, classes, strict=True)
        for index in row
    ]
    assert sorted(pairs) == [tuple(pair) for pair in torch.nonzero(LABELS).tolist()]
    assert [tuple(classes.shape) for _, classes in found] == [(1, 1), (2, 2), (1, 3)]


def test_gradcam__built_from_a_config():
    maps = MAPS.build({'type': 'arml.GradCAMMaps', 'layers': ['b4_5', 'bn7']})
    assert maps.names == ('b4_5', 'final')
    assert GradCAMMaps().names == ('final',)


@pytest.mark.parametrize('layers', ['bn7', [], [3], [''], None])
def test_gradcam__refuses_what_is_no_list_of_layers(layers):
    with pytest.raises(ConfigError, match=r'GradCAMMaps\.layers: found .* expected a list'):
        GradCAMMaps(layers)


@pytest.mark.parametrize('layers', [['b4', 'b4'], ['final', 'b4']])
def test_gradcam__refuses_two_maps_of_one_name(layers):
    with pytest.raises(
        ConfigError, match=r'GradCAMMaps\.layers: found .* expected each layer once'
    ):
        GradCAMMaps(layers)


def test_gradcam__unknown_layer(model):
    maps = GradCAMMaps(['b9', 'bn7'])
    message = r"GradCAMMaps\.layers: found 'b9', .*expected conv1a, b2, .*b7, bn7, .*features"
    with pytest.raises(ConfigError, match=message):
        maps(model, tiles(1))
    with pytest.raises(ConfigError, match=message):
        maps.check(model)
    GradCAMMaps(['b4_5', 'bn7']).check(model)
    wrapped = nn.Module()
    wrapped.backbone = nn.ModuleDict({'net': nn.ModuleDict({'a': nn.ReLU(), 'b': nn.ReLU()})})
    with pytest.raises(ConfigError, match=r'expected net\.a, net\.b, a part'):
        GradCAMMaps(['a']).check(wrapped)


class Odd(nn.Module):
    """A backbone with layers that cannot be read."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 256, 3, stride=8, padding=1), nn.ReLU()
        self.aside, self.unused = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
        self.flat = nn.Flatten()

    def init_weights(self):
        pass

    def forward(self, inputs):
        self.aside(inputs)
        self.flat(inputs)
        return self.act(self.act(self.conv(inputs)))


@pytest.mark.parametrize(
    ('layer', 'message'),
    [
        ('act', 'runs several times'),
        ('flat', r'whose output is \(2, 3072\), expected'),
        ('unused', 'does not run before'),
        ('aside', 'no gradient path leads'),
    ],
)
def test_gradcam__layers_that_cannot_be_read(layer, message):
    torch.manual_seed(0)
    model = classifier()
    model.backbone = Odd()
    for layers in ([layer], ['conv', layer]):
        with pytest.raises(ConfigError, match=rf"GradCAMMaps\.layers: found '{layer}'.*{message}"):
            GradCAMMaps(layers)(model, tiles(2))
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize('layers', [('features',), RELEASED])
def test_gradcam__refuses_a_present_of_another_shape(model, layers):
    with pytest.raises(ValueError, match=r'present \(N, K\) with N = 2, found \(3, 4\)'):
        GradCAMMaps(layers)(model, tiles(2), present=LABELS[:3])
    with pytest.raises(ValueError, match=r'present \(N, K\) with K = 4, found \(2, 5\)'):
        GradCAMMaps(layers)(model, tiles(2), present=torch.ones(2, 5))


def test_recording__hooks_go_even_if_one_cannot_be_added():
    module = nn.ReLU()
    with pytest.raises(AttributeError, match='register_forward_hook'):
        with recording({'a': module, 'b': None}, 'field'):
            pass
    assert not module._forward_hooks


def test_without_weight_gradients__flags_come_back(model):
    flags = [p.requires_grad for p in model.parameters()]

    def fails():
        with without_weight_gradients(model):
            assert not any(p.requires_grad for p in model.parameters())
            raise RuntimeError('inside')

    with pytest.raises(RuntimeError, match='inside'):
        fails()
    assert [p.requires_grad for p in model.parameters()] == flags
