"""mmseg's ResNeSt, cut after a chosen stage and dilated to a chosen stride by one setting each."""

from typing import Any

from mmseg.models.backbones import ResNeSt as MmsegResNeSt

from arml.errors import ConfigError
from arml.registry import MODELS

#: Encoder depth as segmentation libraries count it: the stem is 1, each pooling or stage one more.
DEPTHS = (2, 3, 4, 5)
#: Channels of the stages.
CHANNELS = (256, 512, 1024, 2048)
STRIDES = {
    8: ((1, 2, 1, 1), (1, 1, 2, 4)),
    16: ((1, 2, 2, 1), (1, 1, 1, 2)),
    32: ((1, 2, 2, 2), (1,) * 4),
}


@MODELS.register_module()
class ResNeSt(MmsegResNeSt):
    """ResNeSt whose depth and output stride are leaves of the config.

    The released code of ARML names its segmentor "ResNeSt101" and runs it up to the second stage
    only (``encoder_depth=3``: 512 channels, stride 8, 2.5 of 46 million parameters).

    Args:
        depth: 50, 101, 152 or 200.
        encoder_depth: 5: all four stages; 4, 3, 2: the first three, two, one. What lies behind is
            not built; a weight file of the whole network still fits.
        output_stride: Input pixels per feature of the whole network: 8, 16 or 32. Stages that would
            reduce further are dilated.
        **kwargs: As of mmseg's ``ResNeSt``, without ``num_stages``, ``strides``, ``dilations`` and
            ``out_indices``.

    Raises:
        ConfigError: If ``encoder_depth`` or ``output_stride`` is none of the above.

    Shape:
        - input: float, (N, 3, H, W).
        - output: one map (N, ``channels[0]``, H / s, W / s), s the output stride, or 4 for
          ``encoder_depth=2``.
    """

    def __init__(
        self, depth: int = 101, encoder_depth: int = 5, output_stride: int = 8, **kwargs: Any
    ) -> None:
        if encoder_depth not in DEPTHS:
            raise ConfigError(
                f'ResNeSt.encoder_depth: found {encoder_depth!r}, expected one of '
                f'{", ".join(map(str, DEPTHS))}.'
            )
        if output_stride not in STRIDES:
            raise ConfigError(
                f'ResNeSt.output_stride: found {output_stride!r}, expected one of '
                f'{", ".join(map(str, STRIDES))}.'
            )
        stages = encoder_depth - 1
        strides, dilations = STRIDES[output_stride]
        super().__init__(
            depth=depth,
            num_stages=stages,
            strides=strides[:stages],
            dilations=dilations[:stages],
            out_indices=(stages - 1,),
            **kwargs,
        )
        #: Channels of the maps that a call returns.
        self.channels: list[int] = [CHANNELS[stages - 1]]
