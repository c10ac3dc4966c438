# PSPNet on ResNet38d, with a plain head on the 1024-channel map before its last two blocks: the template of OEEM.
# The weights come from tools/model_converters/resnet38d.py. Without them: --cfg-options start=scratch.
network = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='arml.ResNet38d',
        out_indices=(2, 3),
        frozen_stages=2,
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet38d.pth')),
    decode_head=dict(
        type='PSPHead',
        in_channels=4096,
        in_index=1,
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # as of all templates here: ./pspnet.py
        init_cfg=None),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=1024,
        in_index=0,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        init_cfg=None,
        # Of this only the weight is read: the loss of all heads is model.mask_loss.
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
