# Stage 1 of the paper: ResNet38d with ARS (eqs. 1-3), CAM read from its features.
# The weights come from tools/model_converters/resnet38d.py. Without them: --cfg-options start=scratch.
_base_ = ['./ars.py']

classifier = dict(
    model=dict(
        data_preprocessor=dict(
            normalise='dataset',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            pad_val=0,
            seg_pad_val=255),
        backbone=dict(
            type='arml.ResNet38d',
            out_indices=(3, ),
            frozen_stages=2,
            norm_eval=True,
            norm_cfg=dict(type='BN', requires_grad=False),
            init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet38d.pth')),
        neck=dict(in_channels=4096),
        head=dict(in_channels=4096, dropout=0.5),
        mask_rule=dict(normalisation='joint')),
    # Paper: lr 1e-2, poly, 20 epochs, batch 20. Groups and weight decay as released.
    optim_wrapper=dict(
        type='OptimWrapper',
        constructor='arml.CAMOptimWrapperConstructor',
        paramwise_cfg=dict(
            lr_mult=dict(backbone=1.0, neck=10.0, head=10.0), bias_lr_mult=2.0, bias_decay_mult=0.0),
        optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)),
    param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, by_epoch=True,
                          convert_to_iter_based=True)],
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=1))
