# BiSeNetV1 on ResNet-18, as mmseg has it: a model for real time, at output stride 8.
# Without a network connection: --cfg-options start=scratch, or
# model.network.backbone.backbone_cfg.init_cfg.checkpoint=PATH.
norm_cfg = dict(type='BN', requires_grad=True)
auxiliary = dict(
    type='FCNHead',
    in_channels=128,
    channels=64,
    num_convs=1,
    concat_input=False,
    num_classes=4,
    norm_cfg=norm_cfg,
    align_corners=False,
    # as of all templates here: ./pspnet.py
    init_cfg=None,
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0))
network = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='BiSeNetV1',
        in_channels=3,
        context_channels=(128, 256, 512),
        spatial_channels=(64, 64, 64, 128),
        out_indices=(0, 1, 2),
        out_channels=256,
        backbone_cfg=dict(
            type='ResNet',
            in_channels=3,
            depth=18,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            dilations=(1, 1, 1, 1),
            strides=(1, 2, 2, 2),
            norm_cfg=norm_cfg,
            norm_eval=False,
            style='pytorch',
            contract_dilation=True,
            init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet18_v1c')),
        norm_cfg=norm_cfg,
        align_corners=False,
        init_cfg=None),
    decode_head=dict(
        type='FCNHead',
        in_channels=256,
        in_index=0,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=norm_cfg,
        align_corners=False,
        # as of all templates here: ./pspnet.py
        init_cfg=None),
    auxiliary_head=[dict(in_index=1, **auxiliary), dict(in_index=2, **auxiliary)],
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

del norm_cfg, auxiliary
