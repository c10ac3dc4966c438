"""Masks beside the first one, on their way into the data sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from arml.datasets.transforms import LoadTissueMask
from arml.errors import ConfigError
from arml.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadFurtherMasks(LoadTissueMask):
    """Read ``<folder>/<stem of the tile>.png`` of further folders, each into a field of its own.

    Each is read and checked as ``arml.LoadTissueMask`` does, and becomes one of ``seg_fields``, so what moves
    that mask moves these too; ``arml.PackTissueInputs`` makes each a field of the sample, ``PixelData``
    (1, H, W). It stands right behind ``arml.LoadTissueMask``, and the stage binds the folders::

        bind={'train_dataloader.dataset.pipeline.2.folders.middle': 'pseudo_masks/b5_2', ...}

    Args:
        folders: By the name of the field; None where a stage has still to set it.
        background: As of ``arml.LoadTissueMask``.

    Raises:
        ConfigError: If a name cannot be a field, is taken, or has no folder when a tile is read.
        DataError: If a mask is missing, of another size, or holds other values.
    """

    def __init__(self, folders: Mapping[str, str | None], background: str = 'ignore') -> None:
        super().__init__(background)
        for name in folders:
            if not str(name).isidentifier() or name in ('img', 'gt_seg_map', 'gt_sem_seg'):
                raise ConfigError(
                    f'LoadFurtherMasks.folders: found {name!r}, expected a name of its own'
                )
        self.folders = dict(folders)

    def transform(self, results: dict) -> dict:
        """Add the masks (uint8, (H, W)), and name them in ``seg_fields`` and ``extra_fields``."""
        for name, folder in self.folders.items():
            if folder is None:
                raise ConfigError(
                    f'LoadFurtherMasks.folders.{name}: found None, expected a folder of masks; the '
                    'pipeline binds it to the product of a stage'
                )
            if name in results:
                raise ConfigError(f'LoadFurtherMasks.folders: {name!r} is in the sample already')
            path = Path(folder) / f'{Path(results["img_path"]).stem}.png'
            apart = {**results, 'seg_map_path': str(path), 'pseudo': True, 'seg_fields': []}
            results[name] = super().transform(apart)['gt_seg_map']
            results.setdefault('seg_fields', []).append(name)
            results.setdefault('extra_fields', []).append(name)
        return results
