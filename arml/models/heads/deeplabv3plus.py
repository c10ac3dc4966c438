"""The head of DeepLabV3+ as the released code of MLPS has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from arml.registry import MODELS


@MODELS.register_module()
class DeepLabV3PlusHead(BaseDecodeHead):
    """Atrous spatial pyramid and decoder (Chen et al., ECCV 2018) with full convolutions.

    Differs from mmseg's ``DepthwiseSeparableASPPHead``, the paper's own variant: no depthwise separable
    convolution; the pyramid is fused by a 1x1 convolution (there 3x3); dropout of single values (there of
    channels) behind the pyramid, between the two convolutions of the decoder, and before the last one (there
    only at the last place). The released recipe of MLPS goes with ``channels=256, dropout_ratio=0.1`` and
    ``align_corners=True``.

    Args:
        dilations: Of the pyramid's branches; 1 is a 1x1 convolution, any other a 3x3 one. One more branch
            pools the whole map.
        low_level_index: Which of the inputs the decoder adds, finer than ``in_index``.
        low_level_in_channels: Its channels.
        low_level_channels: To which they are reduced.
        pyramid_dropout: Rate behind the pyramid, in [0, 1).
        decoder_dropout: Rate between the decoder's convolutions, in [0, 1).
        **kwargs: As of mmseg's decode heads; ``channels`` is the width of every other layer.

    Shape:
        - input: a sequence of maps, (N, C, h, w) at ``in_index`` and (N, C', h', w') at ``low_level_index``.
        - output: logits (N, K, h', w').
    """

    def __init__(
        self,
        dilations: Sequence[int] = (1, 6, 12, 18),
        low_level_index: int = 0,
        low_level_in_channels: int = 256,
        low_level_channels: int = 48,
        pyramid_dropout: float = 0.5,
        decoder_dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.low_level_index = low_level_index
        self.branches = nn.ModuleList(
            self._convolution(self.in_channels, self.channels, 1 if rate == 1 else 3, rate)
            for rate in dilations
        )
        self.image_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), self._convolution(self.in_channels, self.channels, 1)
        )
        width = (len(dilations) + 1) * self.channels
        self.fuse = nn.Sequential(
            self._convolution(width, self.channels, 1), nn.Dropout(pyramid_dropout)
        )
        self.low_level = self._convolution(low_level_in_channels, low_level_channels, 1)
        self.decoder = nn.Sequential(
            self._convolution(self.channels + low_level_channels, self.channels, 3),
            nn.Dropout(decoder_dropout),
            self._convolution(self.channels, self.channels, 3),
        )
        self.dropout = nn.Dropout(self.dropout_ratio)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits at the size of the low-level map."""
        deep, fine = self._transform_inputs(inputs), inputs[self.low_level_index]
        pooled = self._resize(self.image_pool(deep), deep.shape[2:])
        fused = self.fuse(torch.cat([*(branch(deep) for branch in self.branches), pooled], dim=1))
        low = self.low_level(fine)
        joined = torch.cat([self._resize(fused, low.shape[2:]), low], dim=1)
        return self.cls_seg(self.decoder(joined))

    def _convolution(self, before: int, after: int, size: int, rate: int = 1) -> ConvModule:
        return ConvModule(
            before,
            after,
            size,
            padding=0 if size == 1 else rate,
            dilation=1 if size == 1 else rate,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def _resize(self, maps: Tensor, size: Sequence[int] | torch.Size) -> Tensor:
        return resize(maps, size, mode='bilinear', align_corners=self.align_corners, warning=False)
