# PSPNet on the tiny backbone, the template of all tiny configs.
_base_ = ['./pspnet.py']

network = dict(
    backbone=dict(
        type='arml.TimmBackbone',
        model_name='resnet18',
        output_stride=8,
        out_indices=(3, ),
        pretrained=False,
        model_args=dict(channels=(32, 64, 128, 256)),
        init_cfg=dict(type='Pretrained', checkpoint=None, prefix='backbone')),
    decode_head=dict(channels=64))
