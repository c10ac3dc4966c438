"""From a pipeline's results to tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from arml.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackTissueInputs(PackSegInputs):
    """mmseg's ``PackSegInputs`` with the image-level label in the sample's metainfo.

    ``inputs`` is the BGR image, uint8, (3, H, W); ``data_samples.gt_sem_seg.data`` int64,
    (1, H, W), if there is a mask; ``data_samples.metainfo['image_label']`` a tuple of K ints.

    What ``arml.LoadTileExtra`` read is a field of ``data_samples``: ``PixelData`` (1, H, W), or a
    tensor () for one number a tile.

    Args:
        meta_keys: Further keys to be kept in the metainfo.
    """

    META_KEYS = (
        'img_path',
        'seg_map_path',
        'ori_shape',
        'img_shape',
        'pad_shape',
        'scale_factor',
        'flip',
        'flip_direction',
        'reduce_zero_label',
        'image_label',
    )

    def __init__(self, meta_keys: Sequence[str] = ()) -> None:
        super().__init__(meta_keys=(*self.META_KEYS, *meta_keys))

    def transform(self, results: dict) -> dict:
        """Pack image, mask, extras and metainfo."""
        packed = super().transform(results)
        for key in results.get('extra_fields', ()):
            values = torch.from_numpy(np.array(results[key], order='C'))
            if values.dim() == 2:
                values = PixelData(data=values[None])
            packed['data_samples'].set_data({key: values})
        return packed
