"""Reading tiles and masks, with errors that name the file."""

from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from arml.errors import ConfigError, DataError
from arml.registry import TRANSFORMS

IGNORE = 255


def decode_tile(path: str | Path) -> np.ndarray:
    """Read an RGB image file.

    Returns:
        BGR image, uint8, (H, W, 3).

    Raises:
        DataError: If the file is missing, empty, damaged, or not an 8-bit image of 3 channels.
    """
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror or error})') from error
    # imdecode refuses an empty buffer with an error of its own.
    image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if image is None:
        raise DataError(
            f'{path}: not a readable image ({content.size} bytes, damaged or of another kind); '
            'expected an RGB PNG. Restore the file from the archive'
        )
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels != 3 or image.dtype != np.uint8:
        raise DataError(
            f'{path}: {channels} channel(s) of {image.dtype}; expected 3 of uint8 (an RGB image '
            'without transparency)'
        )
    return image


def read_raw_mask(path: str | Path) -> np.ndarray:
    """Read the stored values of a palette (or 8-bit grey) mask, never its colours.

    Returns:
        Stored values, uint8, (H, W).

    Raises:
        DataError: If the file is missing, damaged or stores colours.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            if mode in ('P', 'L'):
                return np.array(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow reports damage as any of these
        raise DataError(f'{path}: not a readable mask ({error}); expected a palette PNG') from error
    raise DataError(
        f'{path}: a mask of mode {mode!r}; expected a palette PNG (mode P) whose stored values '
        'are class numbers'
    )


def label_from_mask(mask: np.ndarray, num_classes: int, min_share: float = 0.0) -> tuple[int, ...]:
    """Image-level label of a dense mask.

    A class is present if any pixel has its value and its share of all the tile's pixels is at
    least ``min_share``; background and ignored pixels count in the whole.

    Args:
        mask: Values, uint8, (H, W); anything not in [0, K) is no class.
        num_classes: K.
        min_share: In [0, 1].

    Returns:
        K integers, each 0 or 1.
    """
    counts = np.bincount(mask.ravel(), minlength=num_classes)[:num_classes]
    return tuple(int(count > 0 and count >= min_share * mask.size) for count in counts)


@TRANSFORMS.register_module()
class LoadTile(BaseTransform):
    """Read ``img_path`` into ``img`` (BGR, uint8, (H, W, 3)).

    Raises:
        DataError: If the file is not a readable RGB image.
    """

    def transform(self, results: dict) -> dict:
        """Add ``img``, ``img_shape`` and ``ori_shape`` (H, W)."""
        image = decode_tile(results['img_path'])
        results['img'] = image
        results['img_shape'] = image.shape[:2]
        results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadTissueMask(BaseTransform):
    """Read ``seg_map_path`` into ``gt_seg_map`` (uint8, (H, W)); ignored pixels are 255.

    Args:
        background: What becomes of raw background K: ``'ignore'`` makes it 255 (training,
            protocol A), ``'keep'`` keeps it for protocol B. Where the data set has no background
            to predict (EBHI) raw K is ignored in both.

    Raises:
        ConfigError: If ``background`` is another word, or the data set was built without masks.
        DataError: If the mask is unreadable, a value is out of range, or its size is not that of
            the image.
    """

    def __init__(self, background: str = 'ignore') -> None:
        if background not in ('ignore', 'keep'):
            raise ConfigError(f"LoadTissueMask.background={background!r}: expected 'ignore'/'keep'")
        self.background = background

    def transform(self, results: dict) -> dict:
        """Add ``gt_seg_map`` and name it in ``seg_fields``."""
        path = results.get('seg_map_path')
        if path is None:
            raise ConfigError(
                f'{results.get("img_path")}: LoadTissueMask is in the pipeline but the data set '
                "has no masks; set masks='dense' or a folder of pseudo masks, or leave it out"
            )
        mask = read_raw_mask(path)
        check_mask_values(mask, results['num_classes'], results.get('pseudo', False), path)
        if 'ori_shape' in results and mask.shape != tuple(results['ori_shape'][:2]):
            raise DataError(
                f'{path}: the mask is {_size(mask.shape)}; expected {_size(results["ori_shape"])}, '
                f'the size of {results["img_path"]}'
            )
        if self.background == 'ignore' or results.get('background_index') is None:
            mask[mask == results['num_classes']] = IGNORE
        results['gt_seg_map'] = mask
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


def check_mask_values(mask: np.ndarray, num_classes: int, pseudo: bool, path: str | Path) -> None:
    """Check that stored values are in [0, K]; a pseudo mask may also hold 255 (ignored).

    Raises:
        DataError: If another value is found.
    """
    wrong = mask > num_classes
    if pseudo:
        wrong &= mask != IGNORE
    if wrong.any():
        values = ', '.join(map(str, np.unique(mask[wrong])[:5]))
        raise DataError(
            f'{path}: mask value {values} ({int(wrong.sum())} pixels); expected 0 to '
            f'{num_classes}' + (' or 255' if pseudo else '')
        )


@TRANSFORMS.register_module()
class ImageLabelFromMask(BaseTransform):
    """Take ``image_label`` from the mask where the file name has none (val and test).

    To stand right after ``LoadTissueMask``: a crop or rotation may drop a class.

    Args:
        min_share: Share of the tile from which a class counts as present, in [0, 1]; None takes
            the data set's own (``presence_share``).

    Raises:
        ConfigError: If no mask was loaded before.
    """

    def __init__(self, min_share: float | None = None) -> None:
        self.min_share = min_share

    def transform(self, results: dict) -> dict:
        """Add ``image_label`` unless it is known."""
        if 'image_label' in results:
            return results
        if 'gt_seg_map' not in results:
            raise ConfigError(
                f'{results.get("img_path")}: ImageLabelFromMask needs LoadTissueMask before it'
            )
        share = results.get('presence_share', 0.0) if self.min_share is None else self.min_share
        results['image_label'] = label_from_mask(
            results['gt_seg_map'], results['num_classes'], share
        )
        return results


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]}x{shape[0]}'
