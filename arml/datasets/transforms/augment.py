"""Augmentation of tissue tiles that mmcv and mmseg do not have."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from arml.errors import ConfigError
from arml.registry import TRANSFORMS

#: Optical density of haematoxylin, eosin and DAB in R, G, B: rows, from Ruifrok and Johnston,
#: Analytical and Quantitative Cytology and Histology 2001.
HED = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
HED /= np.linalg.norm(HED, axis=1, keepdims=True)
HED_INVERSE = np.linalg.inv(HED)
#: Optical density of each 8-bit value; the offset keeps that of 0 finite and that of 255 zero.
DENSITY = -np.log((np.arange(256) + 1) / 256).astype(np.float32)


def jitter_stain(image: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    r"""Scale and shift the amount of each stain (HED space; Tellez et al., TMI 2018).

    .. math:: s' = \alpha s + \beta, \quad s = -\ln((I + 1) / 256)\, M^{-1}

    Both steps are linear in optical density, so one 3x3 matrix and one offset do them.

    Args:
        image: BGR, uint8, (H, W, 3).
        scale: alpha of haematoxylin, eosin and DAB, (3,), about 1.
        shift: beta, (3,), in optical density, about 0.

    Returns:
        BGR, uint8, (H, W, 3).
    """
    matrix = HED_INVERSE @ np.diag(scale) @ HED
    offset = shift @ HED
    # cv2.transform multiplies each pixel by a matrix from the left; pixels are BGR, HED is RGB.
    affine = np.hstack([matrix.T[::-1, ::-1], offset[::-1, None]]).astype(np.float32)
    density = cv2.transform(DENSITY[image], affine)
    return np.clip(np.rint(256 * np.exp(-density) - 1), 0, 255).astype(np.uint8)


@TRANSFORMS.register_module()
class RandomStainJitter(BaseTransform):
    """Change the amount of haematoxylin, eosin and the rest by random factors.

    Args:
        prob: Chance that a tile is changed, in [0, 1].
        strength: Factors are uniform in [1 - strength, 1 + strength], in [0, 1].
        shift: Offsets are uniform within +-strength * shift, in optical density.

    Raises:
        ConfigError: If an argument is out of range.
    """

    def __init__(self, prob: float = 0.5, strength: float = 0.2, shift: float = 0.1) -> None:
        _check_prob('RandomStainJitter', prob)
        if not 0 <= strength <= 1 or shift < 0:
            raise ConfigError(
                f'RandomStainJitter: strength={strength}, shift={shift}; expected strength in '
                '[0, 1] and shift >= 0'
            )
        self.prob = prob
        self.strength = strength
        self.shift = shift

    def transform(self, results: dict) -> dict:
        """Change ``img``."""
        if np.random.rand() < self.prob:  # noqa: NPY002 - seeded for each sample by the data set
            draws = np.random.uniform(-self.strength, self.strength, (2, 3))  # noqa: NPY002
            results['img'] = jitter_stain(results['img'], 1 + draws[0], self.shift * draws[1])
        return results


@TRANSFORMS.register_module()
class RandomRotate90(BaseTransform):
    """Rotate image and masks by 90, 180 or 270 degrees.

    Args:
        prob: Chance that a tile is rotated, in [0, 1]; 0.75 makes the four directions alike.

    Raises:
        ConfigError: If ``prob`` is out of range.
    """

    def __init__(self, prob: float = 0.75) -> None:
        _check_prob('RandomRotate90', prob)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Rotate ``img`` and every field in ``seg_fields``."""
        if np.random.rand() < self.prob:  # noqa: NPY002
            turns = np.random.randint(1, 4)  # noqa: NPY002
            for key in ('img', *results.get('seg_fields', ())):
                results[key] = np.ascontiguousarray(np.rot90(results[key], turns))
            results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class RandomGaussianBlur(BaseTransform):
    """Blur the image by a Gaussian of random width.

    Args:
        prob: Chance that a tile is blurred, in [0, 1].
        sigma: Range of the standard deviation in pixels, 0 < low <= high.
        kernel: Side of the window in pixels, odd.

    Raises:
        ConfigError: If an argument is out of range.
    """

    def __init__(
        self, prob: float = 0.5, sigma: tuple[float, float] = (0.1, 2.0), kernel: int = 3
    ) -> None:
        _check_prob('RandomGaussianBlur', prob)
        if not 0 < sigma[0] <= sigma[1] or kernel < 1 or kernel % 2 == 0:
            raise ConfigError(
                f'RandomGaussianBlur: sigma={tuple(sigma)}, kernel={kernel}; expected '
                '0 < sigma[0] <= sigma[1] and an odd kernel'
            )
        self.prob = prob
        self.sigma = tuple(sigma)
        self.kernel = kernel

    def transform(self, results: dict) -> dict:
        """Blur ``img``."""
        if np.random.rand() < self.prob:  # noqa: NPY002
            sigma = np.random.uniform(*self.sigma)  # noqa: NPY002
            results['img'] = cv2.GaussianBlur(results['img'], (self.kernel, self.kernel), sigma)
        return results


@TRANSFORMS.register_module()
class RandomBrightnessContrast(BaseTransform):
    r"""Scale brightness and contrast by random factors, in random order.

    .. math:: I' = f_b I, \qquad I' = f_c I + (1 - f_c)\, \bar{g}(I)

    with the mean gray value g of the tile; f is uniform in [1 - s, 1 + s]. As torchvision's ``ColorJitter``.

    Args:
        brightness: s of the brightness, in [0, 1].
        contrast: s of the contrast, in [0, 1].

    Raises:
        ConfigError: If an argument is out of range.
    """

    def __init__(self, brightness: float = 0.5, contrast: float = 0.5) -> None:
        for name, value in (('brightness', brightness), ('contrast', contrast)):
            if not 0 <= value <= 1:
                raise ConfigError(
                    f'RandomBrightnessContrast.{name}={value}: expected a number in [0, 1]'
                )
        self.brightness = brightness
        self.contrast = contrast

    def transform(self, results: dict) -> dict:
        """Change ``img``."""
        first, bright, strong = np.random.rand(3)  # noqa: NPY002
        bright = 1 + self.brightness * (2 * bright - 1)
        strong = 1 + self.contrast * (2 * strong - 1)
        image = results['img']
        steps = [lambda x: brighten(x, bright), lambda x: stretch(x, strong)]
        for step in steps if first < 0.5 else steps[::-1]:
            image = step(image)
        results['img'] = image
        return results


def brighten(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply an image (uint8) by ``factor`` >= 0, clipped to 0..255."""
    return cv2.convertScaleAbs(image, alpha=factor)


def stretch(image: np.ndarray, factor: float) -> np.ndarray:
    """Move a BGR image (uint8) from its mean gray value by ``factor`` >= 0, clipped to 0..255."""
    mean = float(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean())
    table = np.clip(np.rint(factor * np.arange(256) + (1 - factor) * mean), 0, 255)
    return cv2.LUT(image, table.astype(np.uint8))


def _check_prob(name: str, prob: float) -> None:
    if not 0 <= prob <= 1:
        raise ConfigError(f'{name}.prob={prob}: expected a number in [0, 1]')
