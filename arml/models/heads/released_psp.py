"""The pyramid head that the released code of ARML runs."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from arml.registry import MODELS


@MODELS.register_module()
class ReleasedPSPHead(BaseDecodeHead):
    """Pyramid pooling as in the library that ARML's authors used (segmentation-models-pytorch).

    Differs from mmseg's ``PSPHead`` in the width of the pooled branches (C divided by their number,
    there ``channels``), in the fusion (1x1, there 3x3), and in the last convolution (3x3, there
    1x1). The branch that pools to a single position has no norm. The released recipe goes with
    ``dropout_ratio=0.2`` and ``align_corners=True``.

    Args:
        pool_scales: Positions a side that each branch pools to.
        **kwargs: As of mmseg's decode heads; ``channels`` is the width after the fusion.

    Shape:
        - input: a sequence of maps, of which ``in_index`` is (N, C, h, w).
        - output: logits (N, K, h, w).
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        width = self.in_channels // len(pool_scales)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(scale),
                ConvModule(
                    self.in_channels,
                    width,
                    1,
                    norm_cfg=None if scale == 1 else self.norm_cfg,
                    act_cfg=self.act_cfg,
                ),
            )
            for scale in pool_scales
        )
        self.bottleneck = ConvModule(
            self.in_channels + width * len(pool_scales),
            self.channels,
            1,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )
        self.conv_seg = nn.Conv2d(self.channels, self.out_channels, 3, padding=1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits of the chosen map."""
        features = self._transform_inputs(inputs)
        pooled = [
            resize(branch(features), features.shape[2:], mode='bilinear', align_corners=True)
            for branch in self.branches
        ]
        return self.cls_seg(self.bottleneck(torch.cat([*pooled, features], dim=1)))
