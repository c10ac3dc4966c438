# SegFormer on MiT-B3.
# Without a network connection: --cfg-options start=scratch, or
# model.network.backbone.init_cfg.checkpoint=PATH.
norm_cfg = dict(type='BN', requires_grad=True)
network = dict(
    type='EncoderDecoder',
    backbone=dict(
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
    decode_head=dict(
        type='SegformerHead',
        in_channels=[64, 128, 320, 512],
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=norm_cfg,
        align_corners=False,
        # mmseg would start the last convolution at a deviation of 0.01. The relation losses do not
        # depend on the scale of the logits, so their gradient grows as that shrinks: at such a
        # start it drowns the masks. torch's own start is used instead.
        init_cfg=None),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

del norm_cfg
