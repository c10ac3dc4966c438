"""Weight maps, against torchcam and against views made by hand."""

import pytest
import torch
from torch import nn
from torchcam.methods import CAM, GradCAM

from arml.errors import ConfigError
from arml.pseudo.maps import WeightMaps, orient, orientations, resize_maps, restore
from arml.registry import MAPS


class Toy(nn.Module):
    """Convolution, ReLU, pooling, linear: what torchcam can read too."""

    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, stride, padding=1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 4, bias=False)
        self.calls = 0

    def extract_feat(self, inputs):
        self.calls += 1
        return self.features(inputs)

    def class_maps(self, features):
        return nn.functional.conv2d(features, self.fc.weight[:, :, None, None])

    def forward(self, inputs):
        return self.fc(self.pool(self.features(inputs)).flatten(1))


@pytest.fixture
def toy() -> Toy:
    return Toy().eval()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(1, 3, 8, 10, generator=torch.Generator().manual_seed(1))


def test_weight_maps__equal_torchcam(toy, image):
    maps = WeightMaps(relu=False)(toy, image)['final'][0]
    for index in range(4):
        with CAM(toy, target_layer='features', fc_layer='fc') as cam:
            scores = toy(image)
            (expected,) = cam(index, scores, normalized=False)
        torch.testing.assert_close(maps[index], expected[0])


def test_weight_maps__are_grad_cam_times_the_number_of_positions(toy, image):
    maps = WeightMaps()(toy, image)['final'][0]
    height, width = maps.shape[1:]
    for index in range(4):
        with GradCAM(toy, target_layer='features') as cam:
            (expected,) = cam(index, toy(image), normalized=False)
        torch.testing.assert_close(maps[index] / (height * width), expected[0].detach())


def test_weight_maps__relu_is_a_leaf(toy, image):
    raw = MAPS.build({'type': 'arml.WeightMaps', 'relu': False})(toy, image)['final']
    assert raw.min() < 0
    assert torch.equal(raw.relu(), WeightMaps()(toy, image)['final'])
    assert not raw.requires_grad


def test_weight_maps__given_features_are_not_computed_again(toy, image):
    features = toy.extract_feat(image)
    toy.calls = 0
    assert WeightMaps.names == tuple(WeightMaps()(toy, image, features=features))
    assert toy.calls == 0
    WeightMaps(flips=True)(toy, image, features=features)
    assert toy.calls == 3


@pytest.mark.parametrize(
    ('flips', 'rotations', 'number'),
    [(False, False, 1), (True, False, 4), (False, True, 4), (True, True, 8)],
)
def test_orientations__are_different_and_undone(flips, rotations, number):
    views = orientations(flips, rotations)
    assert views[0] == (0, False)
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    seen = {tuple(orient(x, *view).flatten().tolist()) for view in views}
    assert len(views) == len(seen) == number
    for view in views:
        assert torch.equal(restore(orient(x, *view), *view), x)


def test_orientations__flips_are_mirror_images():
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    seen = {tuple(orient(x, *view).flatten().tolist()) for view in orientations(True, False)}
    expected = {tuple(y.flatten().tolist()) for y in (x, x.flip(2), x.flip(3), x.flip(2, 3))}
    assert seen == expected


def test_weight_maps__mean_over_views_made_by_hand(toy, image):
    maps = WeightMaps(flips=True, rotations=True, relu=False)(toy, image)['final']
    plain = WeightMaps(relu=False)
    total = torch.zeros_like(maps)
    for turns in range(4):
        for mirrored in (False, True):
            view = image.flip(3) if mirrored else image
            one = plain(toy, view.rot90(turns, (2, 3)))['final'].rot90(-turns, (2, 3))
            total += one.flip(3) if mirrored else one
    torch.testing.assert_close(maps, total / 8)


def test_weight_maps__symmetric_network_gives_the_same_map_from_every_view(image):
    """A 1x1 network sees no orientation, so the mean over views is the plain map."""
    toy = Toy().eval()
    toy.features = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU())
    views = WeightMaps(flips=True, rotations=True)(toy, image)['final']
    torch.testing.assert_close(views, WeightMaps()(toy, image)['final'])


def test_weight_maps__scales(toy, image):
    maps = WeightMaps(scales=(1.0, 2.0), relu=False)(toy, image)['final']
    plain = WeightMaps(relu=False)
    large = nn.functional.interpolate(image, size=(16, 20), mode='bilinear')
    other = nn.functional.interpolate(plain(toy, large)['final'], size=(4, 5), mode='bilinear')
    torch.testing.assert_close(maps, (plain(toy, image)['final'] + other) / 2)


def test_resize_maps__size_and_identity():
    maps = torch.rand(4, 3, 5)
    assert resize_maps(maps, (3, 5)) is maps
    assert resize_maps(maps, (7, 9)).shape == (4, 7, 9)


@pytest.mark.parametrize('scales', [(), (1.0, 0.0)])
def test_weight_maps__refuses(scales):
    with pytest.raises(ConfigError, match='WeightMaps.scales: found'):
        WeightMaps(scales=scales)
