"""Equations of Grad-CAM++ against naive loops, numbers made by hand and the library ``grad-cam``."""

import pytest
import torch
from pytorch_grad_cam import GradCAMPlusPlus

from arml.methods.gradcam_plus_plus.functional import (
    EPSILON,
    channel_weights,
    even_channel_weights,
    position_weights,
)


def draw(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def naive_alpha(gradient: float, total: float, epsilon: float) -> float:
    if gradient == 0:
        return 0.0
    return gradient**2 / (2 * gradient**2 + total * gradient**3 + epsilon)


def naive_weights(activations, gradients, epsilon):
    """Channel by channel, position by position, in plain numbers."""
    result = torch.zeros(activations.shape[:2], dtype=activations.dtype)
    for tile in range(activations.shape[0]):
        for channel in range(activations.shape[1]):
            values = activations[tile, channel].flatten().tolist()
            slopes = gradients[tile, channel].flatten().tolist()
            for slope in slopes:
                alpha = naive_alpha(slope, sum(values), epsilon)
                result[tile, channel] += max(slope, 0.0) * alpha
    return result


@pytest.mark.parametrize('epsilon', [0, EPSILON, 0.1])
@pytest.mark.parametrize('scale', [1.0, 1e-4])
def test_channel_weights__equal_the_naive_loop(epsilon, scale):
    activations, gradients = draw(2, 3, 4, 4).abs(), draw(2, 3, 4, 4, seed=1, scale=scale)
    gradients[0, 1, 2:] = 0
    found = channel_weights(activations, gradients, epsilon)
    assert found.shape == (2, 3)
    assert found.dtype == torch.float64
    assert (found > 0).all()
    torch.testing.assert_close(
        found, naive_weights(activations, gradients, epsilon), rtol=1e-9, atol=0
    )


def test_position_weights__equal_the_naive_loop_where_sums_are_negative():
    gradients, sums = draw(2, 3, 4, 4), draw(2, 3, 1, 1, seed=2, scale=10)
    assert sums.min() < 0 < sums.max()
    found = position_weights(gradients, sums)
    expected = [
        naive_alpha(gradients[index].item(), sums[index[0], index[1], 0, 0].item(), EPSILON)
        for index in map(tuple, torch.nonzero(torch.ones(2, 3, 4, 4)).tolist())
    ]
    torch.testing.assert_close(found.flatten(), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    ('gradient', 'total', 'epsilon', 'alpha'),
    [
        (2.0, 3.0, 0, 4 / 32),
        (1.0, 3.0, 0, 1 / 5),
        (-1.0, 3.0, 0, -1.0),
        (1e-3, 0.0, 0, 1 / 2),
        (1e-3, 0.0, 1e-6, 1 / 3),
        (1.0, 0.0, 2.0, 1 / 4),
        (0.0, 3.0, 0, 0.0),
        (0.0, 3.0, 1e-6, 0.0),
        (2.0, -1.0, 0, 0.0),  # 8 - 8: the equation has no value
        (2.0, -1.0, 1.0, 4.0),
    ],
)
def test_position_weights__by_hand(gradient, total, epsilon, alpha):
    one = torch.tensor(gradient, dtype=torch.float64)
    found = position_weights(one, torch.tensor(total, dtype=torch.float64), epsilon)
    assert found.item() == pytest.approx(alpha, rel=1e-12)


def test_channel_weights__by_hand():
    activations = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    gradients = torch.tensor([[[[2.0, -1.0], [0.0, 1.0]]]])
    # 2 * 4 / 32 + 1 * 1 / 5; the negative gradient has no part.
    assert channel_weights(activations, gradients, epsilon=0).item() == pytest.approx(0.45)


@pytest.mark.parametrize('scale', [1.0, 1e-2, 1e-4])
def test_channel_weights__are_those_of_the_library(scale):
    activations = draw(2, 5, 6, 4).float()
    gradients = draw(2, 5, 6, 4, seed=1, scale=scale).float()
    gradients[:, 2] = 0
    expected = GradCAMPlusPlus.get_cam_weights(
        None, None, None, None, activations.numpy(), gradients.numpy()
    )
    found = channel_weights(activations, gradients)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=2e-5, atol=0)


@pytest.mark.parametrize('epsilon', [0, EPSILON])
def test_even_channel_weights__are_those_of_the_same_gradient_everywhere(epsilon):
    activations, gradients = draw(3, 5, 4, 6), draw(4, 5, seed=1, scale=1e-3)
    found = even_channel_weights(activations.sum(dim=(2, 3)), gradients, 24, epsilon)
    assert found.shape == (3, 4, 5)
    for index, one in enumerate(gradients):
        full = one[None, :, None, None].expand(3, -1, 4, 6)
        torch.testing.assert_close(found[:, index], channel_weights(activations, full, epsilon))


def test_channel_weights__without_epsilon_the_map_has_no_unit():
    """A layer in other units, c A and so g / c, gives the same map; with epsilon it does not."""
    activations, gradients = draw(1, 3, 4, 4).abs(), draw(1, 3, 4, 4, seed=1)
    for epsilon, same in ((0, True), (EPSILON, False)):
        one, other = (
            channel_weights(unit * activations, gradients / unit, epsilon) * unit
            for unit in (1, 1000)
        )
        assert torch.allclose(one, other, rtol=1e-6) == same


def test_channel_weights__of_small_gradients_are_half_the_positive_ones_without_epsilon():
    """Grad-CAM of the positive gradients, as Lerma and Lucas say; with epsilon, their third powers."""
    activations, gradients = draw(1, 3, 4, 4).abs(), draw(1, 3, 4, 4, seed=1, scale=1e-6)
    positive = gradients.relu()
    found = channel_weights(activations, gradients, 0)
    torch.testing.assert_close(found, positive.sum(dim=(2, 3)) / 2, rtol=1e-4, atol=0)
    found = channel_weights(activations, gradients, EPSILON)
    torch.testing.assert_close(found, (positive**3).sum(dim=(2, 3)) / EPSILON, rtol=1e-4, atol=0)


@pytest.mark.parametrize('epsilon', [0, EPSILON])
def test_channel_weights__of_no_gradient_are_0(epsilon):
    nothing = torch.zeros(1, 2, 3, 3)
    assert torch.equal(channel_weights(nothing, nothing, epsilon), torch.zeros(1, 2))
    assert torch.equal(
        even_channel_weights(torch.ones(1, 2), torch.zeros(3, 2), 9, epsilon), torch.zeros(1, 3, 2)
    )
