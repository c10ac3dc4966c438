"""Weights and scores that were made with the pseudo masks, tile by tile."""

from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from arml.errors import ConfigError, DataError
from arml.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadTileExtra(BaseTransform):
    """Read ``<folder>/<stem of the tile>.npy`` into ``key``, to be packed into the data sample.

    An array (H, W) becomes one of ``seg_fields``: what moves the mask moves it too, and ``Resize``
    takes its nearest values. One number a tile stays as it is. ``arml.PackTissueInputs`` makes
    ``PixelData`` (1, H, W) of the first and a tensor of the second.

    Args:
        folder: A product of the pseudo masks (``<map>.<extra>``). Bound to it by the stage.
        key: Name in the results and in the data sample.

    Raises:
        ConfigError: If ``key`` is no name, or one that something else has already.
        DataError: If the file is missing, broken, of another kind, or of another size than the
            tile.
    """

    def __init__(self, folder: str, key: str) -> None:
        if not key.isidentifier() or key in ('img', 'gt_seg_map', 'gt_sem_seg'):
            raise ConfigError(f'LoadTileExtra.key: found {key!r}, expected a name of its own')
        self.folder = Path(folder)
        self.key = key

    def transform(self, results: dict) -> dict:
        """Add ``key`` and name it in ``extra_fields`` and, if it is (H, W), in ``seg_fields``."""
        if self.key in results:
            raise ConfigError(f'LoadTileExtra.key: {self.key!r} is in the sample already')
        path = self.folder / f'{Path(results["img_path"]).stem}.npy'
        values = read_extra(path)
        if values.ndim == 2:
            size = tuple(results['img_shape'][:2])
            if values.shape != size:
                raise DataError(
                    f'{path}: an array of {values.shape}; expected {size} (height, width), the size '
                    f'of {results["img_path"]}'
                )
            results.setdefault('seg_fields', []).append(self.key)
        results[self.key] = values
        results.setdefault('extra_fields', []).append(self.key)
        return results


def read_extra(path: str | Path) -> np.ndarray:
    """Read an array of one tile; nothing in the file is executed.

    Returns:
        float32 or integer, (H, W) or ().

    Raises:
        DataError: If the file is missing, broken, or holds anything else.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f'{path}: not a readable array ({error}); expected the .npy file that was made with the '
            'pseudo masks. Make them again'
        ) from error
    kind = getattr(values, 'dtype', None)
    if kind is None or values.ndim not in (0, 2) or not (kind == np.float32 or kind.kind in 'ui'):
        raise DataError(
            f'{path}: found {kind} {getattr(values, "shape", "of no array")}; expected float32 or '
            'integers, (height, width) or one number'
        )
    return values
