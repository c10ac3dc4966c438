# PSPNet on ResNet38d (4096 channels, output stride 8). ARML's paper names the backbone only; the pyramid
# head on top is what OEEM uses.
# The weights come from tools/model_converters/resnet38d.py. Without them: --cfg-options start=scratch.
_base_ = ['./pspnet.py']

network = dict(
    backbone=dict(
        type='arml.ResNet38d',
        out_indices=(3, ),
        frozen_stages=2,
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet38d.pth')))
