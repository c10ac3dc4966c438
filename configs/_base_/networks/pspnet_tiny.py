# PSPNet on the tiny backbone, the template of arml_tiny_*.py.
_base_ = ['./resnet18_tiny.py']

network = dict(
    backbone=dict(out_indices=(3, )),
    decode_head=dict(
        type='PSPHead',
        in_channels=None,  # those of the backbone
        in_index=0,
        channels=64,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # As in ARML's template, which needs torch's own start of the last convolution.
        init_cfg=None))
