# DeepLabV3+ on ResNet-101 at output stride 16, as the released code of MLPS builds it: the plain stem (not
# V1c), dilations 2, 4, 8 in the last layer, full convolutions in the head. That code starts from a
# checkpoint on PASCAL VOC of unknown origin; here from ImageNet.
# Without a network connection: --cfg-options start=scratch, or
# model.network.backbone.init_cfg.checkpoint=PATH.
norm_cfg = dict(type='BN', requires_grad=True)
network = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='ResNet',
        depth=101,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        multi_grid=(2, 4, 8),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')),
    decode_head=dict(
        type='arml.DeepLabV3PlusHead',
        in_channels=2048,
        in_index=3,
        channels=256,
        dilations=(1, 6, 12, 18),
        low_level_index=0,
        low_level_in_channels=256,
        low_level_channels=48,
        pyramid_dropout=0.5,
        decoder_dropout=0.5,
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=norm_cfg,
        align_corners=True,
        # torch's own start of the last convolution, not mmseg's of a deviation of 0.01
        init_cfg=None),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

del norm_cfg
