# BiSeNetV1 at a quarter of its width, from scratch: its ResNet-18 goes on to stride 32, the classifier's does not.
_base_ = ['./bisenetv1_r18.py']

network = dict(
    backbone=dict(
        context_channels=(32, 64, 128),
        spatial_channels=(16, 16, 16, 32),
        out_channels=64,
        backbone_cfg=dict(stem_channels=16, base_channels=16, init_cfg=None)),
    decode_head=dict(in_channels=64, channels=64),
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_index=index,
            in_channels=32,
            channels=16,
            num_convs=1,
            concat_input=False,
            num_classes=4,
            norm_cfg=dict(type='BN', requires_grad=True),
            align_corners=False,
            init_cfg=None,
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0))
        for index in (1, 2)
    ])
