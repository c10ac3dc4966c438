# Stage 1 for two CPU cores, from scratch: half the width of ResNet-18, up to its third layer, at
# output stride 8, with ARS. Each tile is normalised by its own statistics, and maps are averaged over
# the eight flips and turns: what each is worth on real tissue stands in docs/results.md.
classifier = dict(
    model=dict(
        type='arml.MultiLabelClassifier',
        data_preprocessor=dict(
            type='arml.TissueDataPreProcessor', normalise='tile', bgr_to_rgb=True),
        backbone=dict(
            type='arml.TimmBackbone',
            model_name='resnet18',
            output_stride=8,
            out_indices=(3, ),
            pretrained=False,
            model_args=dict(channels=(32, 64, 128, 256))),
        neck=dict(
            type='arml.ARSNeck',
            enabled=True,
            in_channels=128,
            reduction=8,
            softmax_dim='affinity',
            mask_self=True,
            gamma_init=0.0,
            gamma_trainable=True,
            reactivation='paper',
            channel_gate='trained',
            gate_norm_eval=False,
            at_inference=True,
            start_epoch=0),
        head=dict(type='arml.LinearMapHead', in_channels=128, num_classes=4, dropout=0.0),
        loss=dict(type='arml.MultiLabelSoftMarginLoss'),
        maps=dict(type='arml.WeightMaps', flips=True, rotations=True),
        mask_rule=dict(type='arml.MaskRule', normalisation='per_class'),
        presence_threshold=0.25),
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05)),
    param_scheduler=[
        dict(type='CosineAnnealingLR', eta_min=0.0, begin=0, by_epoch=True,
             convert_to_iter_based=True)
    ],
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=40, val_interval=10),
    default_hooks=dict(checkpoint=dict(save_best=None)))
