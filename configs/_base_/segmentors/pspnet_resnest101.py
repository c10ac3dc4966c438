# Stage 2: three PSPNets on the full ResNeSt-101, output stride 8 (the paper's "ResNeSt101").
# The released code cuts the encoder after layer 2 (encoder_depth=3); the paper does not say so.
# Without a network connection: --cfg-options model.network.backbone.init_cfg=None (from scratch)
# or model.network.backbone.init_cfg.checkpoint=PATH.
_base_ = ['./mutual_learning.py']

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='arml.ResNeSt',
            depth=101,
            encoder_depth=5,
            output_stride=8,
            contract_dilation=True,
            stem_channels=128,
            radix=2,
            reduction_factor=4,
            avg_down_stride=True,
            style='pytorch',
            norm_cfg=norm_cfg,
            norm_eval=False,
            init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnest101')),
        decode_head=dict(
            type='PSPHead',
            in_channels=None,  # those of the backbone
            in_index=0,
            channels=512,
            pool_scales=(1, 2, 3, 6),
            dropout_ratio=0.1,
            num_classes=4,
            norm_cfg=norm_cfg,
            align_corners=False,
            # mmseg would start the last convolution at a deviation of 0.01. The relation losses do not
            # depend on the scale of the logits, so their gradient grows as that shrinks: at such a
            # start it drowns the masks. torch's own start is used instead.
            init_cfg=None),
        train_cfg=dict(),
        test_cfg=dict(mode='whole')))

del norm_cfg
