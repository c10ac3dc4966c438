# Stage 1 for two CPU cores, from scratch: half the width of ResNet-18, up to its third layer, at
# output stride 8, with ARS. Each tile is normalised by its own statistics, and maps are averaged over
# the eight flips and turns: what each is worth on real tissue stands in docs/results.md.
_base_ = ['./ars.py']

classifier = dict(
    model=dict(
        data_preprocessor=dict(normalise='tile'),
        backbone=dict(
            type='arml.TimmBackbone',
            model_name='resnet18',
            output_stride=8,
            out_indices=(3, ),
            pretrained=False,
            model_args=dict(channels=(32, 64, 128, 256))),
        neck=dict(in_channels=128),
        head=dict(in_channels=128, dropout=0.0),
        maps=dict(flips=True, rotations=True),
        mask_rule=dict(normalisation='per_class')),
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05)),
    param_scheduler=[
        dict(type='CosineAnnealingLR', eta_min=0.0, begin=0, by_epoch=True,
             convert_to_iter_based=True)
    ],
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=40, val_interval=10))
