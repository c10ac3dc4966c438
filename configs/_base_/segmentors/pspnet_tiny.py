# Stage 2 for two CPU cores: three PSPNets on ResNet-18, output stride 8, from scratch.
_base_ = ['./mutual_learning.py']

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='arml.TimmBackbone',
            model_name='resnet18',
            output_stride=8,
            out_indices=(4, ),
            pretrained=False),
        decode_head=dict(
            type='PSPHead',
            in_channels=512,
            in_index=0,
            channels=64,
            pool_scales=(1, 2, 3, 6),
            dropout_ratio=0.1,
            num_classes=4,
            norm_cfg=norm_cfg,
            align_corners=False),
        train_cfg=dict(),
        test_cfg=dict(mode='whole')))

del norm_cfg
