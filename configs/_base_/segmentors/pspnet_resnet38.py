# Stage 2: three PSPNets on ResNet38d (4096 channels, output stride 8). The paper names the backbone
# only; the pyramid head on top is what OEEM uses.
# The weights come from tools/model_converters/resnet38d.py. Without
# them: --cfg-options model.network.backbone.init_cfg=None (from scratch).
_base_ = ['./mutual_learning.py']

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='arml.ResNet38d',
            out_indices=(3, ),
            frozen_stages=2,
            norm_eval=True,
            init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet38d.pth')),
        decode_head=dict(
            type='PSPHead',
            in_channels=4096,
            in_index=0,
            channels=512,
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
