# PSPNet on the full ResNeSt-101, output stride 8 (ARML's "ResNeSt101").
# The released code cuts the encoder after layer 2 (encoder_depth=3); the paper does not say so.
# Without a network connection: --cfg-options start=scratch, or
# model.network.backbone.init_cfg.checkpoint=PATH.
_base_ = ['./pspnet.py']

network = dict(
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
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnest101')))
