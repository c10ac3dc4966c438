# Stage 2 for two CPU cores: three PSPNets on half the width of ResNet-18, up to its third layer, output
# stride 8; tiles normalised by their own statistics. The pipeline sets the start of the backbones to
# the trained classifier, the same network; init_cfg=None trains them from scratch.
_base_ = ['./pspnet.py']

model = dict(
    data_preprocessor=dict(normalise='tile', mean=None, std=None),
    network=dict(
        backbone=dict(
            type='arml.TimmBackbone',
            model_name='resnet18',
            output_stride=8,
            out_indices=(3, ),
            pretrained=False,
            model_args=dict(channels=(32, 64, 128, 256)),
            init_cfg=dict(type='Pretrained', checkpoint=None, prefix='backbone')),
        decode_head=dict(channels=64)))
