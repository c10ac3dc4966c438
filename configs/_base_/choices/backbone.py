# backbone=NAME: the ARML rows of Table 1, for the configs on ResNeSt-101. Each value gives what the config of
# its own gives (arml_resnet38_*.py, arml_mit-b3_*.py; tests/configs/test_choices_of_tables.py compares them).
_base_ = ['./start.py']

backbone_choices = {
    'default': {},
    'resnest101': {},
    'resnet38': {
        'title': 'ARML (ResNet38d)',
        'default_hooks.parameter_check.exceptions': [],
        'model.network.backbone': dict(
            _delete_=True,
            type='arml.ResNet38d',
            out_indices=(3, ),
            frozen_stages=2,
            norm_eval=True,
            norm_cfg=dict(type='BN', requires_grad=False),
            init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet38d.pth')),
    },
    'mit-b3': {
        'title': 'ARML (MiT-B3)',
        'default_hooks.parameter_check.exceptions': [],
        'model.network.backbone': dict(
            _delete_=True,
            type='MixVisionTransformer',
            in_channels=3,
            embed_dims=64,
            num_stages=4,
            num_layers=[3, 4, 18, 3],
            num_heads=[1, 2, 5, 8],
            patch_sizes=[7, 3, 3, 3],
            sr_ratios=[8, 4, 2, 1],
            out_indices=(0, 1, 2, 3),
            mlp_ratio=4,
            qkv_bias=True,
            drop_rate=0.0,
            attn_drop_rate=0.0,
            drop_path_rate=0.1,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/segformer/'
                'mit_b3_20220624-13b1141c.pth')),
        'model.network.decode_head': dict(
            _delete_=True,
            type='SegformerHead',
            in_channels=[64, 128, 320, 512],
            in_index=[0, 1, 2, 3],
            channels=256,
            dropout_ratio=0.1,
            num_classes=4,
            norm_cfg=dict(type='BN', requires_grad=True),
            align_corners=False,
            init_cfg=None),
    },
}
backbone = 'default'

start_choices = {
    'scratch': {
        'backbone': {
            'resnet38': {
                'model.network.backbone.frozen_stages': 0,
                'model.network.backbone.norm_eval': False,
                'model.network.backbone.norm_cfg.requires_grad': True,
            },
        },
    },
}
