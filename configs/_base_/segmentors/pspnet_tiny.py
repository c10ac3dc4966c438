# Stage 2 for two CPU cores: three PSPNets on half the width of ResNet-18, up to its third layer, output
# stride 8; tiles normalised by their own statistics. The pipeline sets the start of the backbones to
# the trained classifier, the same network; init_cfg=None trains them from scratch.
_base_ = ['./mutual_learning.py']

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(normalise='tile', mean=None, std=None),
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='arml.TimmBackbone',
            model_name='resnet18',
            output_stride=8,
            out_indices=(3, ),
            pretrained=False,
            model_args=dict(channels=(32, 64, 128, 256)),
            init_cfg=dict(type='Pretrained', checkpoint=None, prefix='backbone')),
        decode_head=dict(
            type='PSPHead',
            in_channels=None,  # those of the backbone
            in_index=0,
            channels=64,
            pool_scales=(1, 2, 3, 6),
            dropout_ratio=0.1,
            num_classes=4,
            norm_cfg=norm_cfg,
            align_corners=False,
            # mmseg would start the last convolution at a deviation of 0.01. The relation losses do not
            # depend on the scale of the logits, so their gradient grows as that shrinks: at such a
            # start it drowns the masks. torch's own start is used instead.
            init_cfg=None),
        train_cfg=dict(),
        test_cfg=dict(mode='whole')))

del norm_cfg
