# DeepLabV3+ on ResNet-101, as mmseg has it.
_base_ = ['./resnet101_v1c_d8.py']

network = dict(
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        c1_in_channels=256,
        c1_channels=48,
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # as of all templates here: ./pspnet.py
        init_cfg=None))
