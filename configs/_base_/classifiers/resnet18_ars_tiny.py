# Stage 1 for two CPU cores, from scratch: ResNet-18 at output stride 8 with ARS. Each tile is
# normalised by its own statistics; on real tissue that alone raises the CAM (docs/results.md).
classifier = dict(
    model=dict(
        type='arml.MultiLabelClassifier',
        data_preprocessor=dict(
            type='arml.TissueDataPreProcessor', normalise='tile', bgr_to_rgb=True),
        backbone=dict(
            type='arml.TimmBackbone',
            model_name='resnet18',
            output_stride=8,
            out_indices=(4, ),
            pretrained=False),
        neck=dict(type='arml.ARSNeck', enabled=True, in_channels=512, reduction=8),
        head=dict(type='arml.LinearMapHead', in_channels=512, num_classes=4, dropout=0.3),
        loss=dict(type='arml.MultiLabelSoftMarginLoss'),
        maps=dict(type='arml.WeightMaps'),
        mask_rule=dict(type='arml.MaskRule', normalisation='joint'),
        presence_threshold=0.25),
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05)),
    param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, by_epoch=True,
                          convert_to_iter_based=True)],
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=25, val_interval=5),
    default_hooks=dict(checkpoint=dict(save_best=None)))
