# UPerNet on ResNet-101 at its own output stride of 32, as mmseg has it.
_base_ = ['./resnet101_v1c_d8.py']

network = dict(
    backbone=dict(dilations=(1, 1, 1, 1), strides=(1, 2, 2, 2)),
    decode_head=dict(
        type='UPerHead',
        in_channels=[256, 512, 1024, 2048],
        in_index=[0, 1, 2, 3],
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # as of all templates here: ./pspnet.py
        init_cfg=None))
