# DeepLabV3+ on the tiny backbone. Dilations are smaller than mmseg's: maps have 14 positions a side.
_base_ = ['./resnet18_tiny.py']

network = dict(
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_channels=128,
        in_index=2,
        channels=64,
        dilations=(1, 2, 4, 6),
        c1_in_channels=32,
        c1_channels=16,
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # as of all templates here: ./pspnet.py
        init_cfg=None))
