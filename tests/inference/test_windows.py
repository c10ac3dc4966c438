"""Windows and weights."""

import numpy as np
import pytest

from arml.inference.windows import hann_weights, pad_to, resize, window_starts


@pytest.mark.parametrize('length', [16, 17, 23, 24, 40, 133])
@pytest.mark.parametrize('overlap', [0, 0.25, 0.5, 0.9])
def test_window_starts__cover_the_axis_with_the_overlap(length, overlap):
    starts = window_starts(length, 16, overlap)
    assert starts[0] == 0
    assert starts[-1] == length - 16
    assert all(0 < step <= max(1, 16 * (1 - overlap)) for step in np.diff(starts))


def test_window_starts__one_window_where_one_is_enough():
    assert window_starts(16, 16, 0.5) == [0]


def test_window_starts__raises():
    with pytest.raises(ValueError, match=r'overlap must be in \[0, 1\), found 1'):
        window_starts(16, 16, 1)
    with pytest.raises(ValueError, match='15 pixels is shorter than a window of 16'):
        window_starts(15, 16, 0.5)


def test_hann_weights__equal_a_loop():
    expected = np.zeros((5, 8))
    for i in range(5):
        for j in range(8):
            expected[i, j] = np.sin(np.pi * (i + 0.5) / 5) ** 2 * np.sin(np.pi * (j + 0.5) / 8) ** 2
    weights = hann_weights(5, 8)
    assert weights.dtype == np.float32
    assert np.allclose(weights, expected)
    assert weights.min() > 0


def test_hann_weights__half_overlapping_windows_add_up_evenly():
    weights = hann_weights(16, 16)[8] / hann_weights(16, 16)[8].max()
    assert np.allclose(weights[:8] + weights[8:], weights[:8].sum() / 4)


def test_pad_to__mirrors_below_and_right():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    padded = pad_to(image, 5, 4)
    assert padded.shape == (5, 4, 3)
    assert np.array_equal(padded[:2, :3], image)
    assert np.array_equal(padded[2], padded[0])  # mirrored without repeating the edge
    assert np.array_equal(padded[:, 3], padded[:, 1])
    assert pad_to(image, 2, 2) is image


def test_resize__antialiased_only_where_it_shrinks():
    checks = np.indices((16, 16)).sum(0) % 2 * 255
    image = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    assert np.abs(resize(image, 4, 4, antialias=True).astype(int) - 127.5).max() < 2
    assert np.array_equal(resize(image, 32, 32, antialias=True), resize(image, 32, 32))
    assert resize(image, 16, 16) is image
