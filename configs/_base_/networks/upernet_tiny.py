# UPerNet on the tiny backbone.
_base_ = ['./resnet18_tiny.py']

network = dict(
    decode_head=dict(
        type='UPerHead',
        in_channels=[32, 64, 128],
        in_index=[0, 1, 2],
        channels=64,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # as of all templates here: ./pspnet.py
        init_cfg=None))
