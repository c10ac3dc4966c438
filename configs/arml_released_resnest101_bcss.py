# ARML as its authors' released code does it, side by side with the paper's (arml_resnest101_bcss.py).
# Every line is one deviation, a leaf of its own; docs/paper_vs_released.md explains each.
_base_ = ['./arml_resnest101_bcss.py']

classifier = dict(
    model=dict(
        data_preprocessor=dict(normalise='unit'),
        neck=dict(
            softmax_dim='height',
            mask_self=False,
            gamma_trainable=False,
            reactivation='released',
            channel_gate='frozen',
            gate_norm_eval=True,
            at_inference=False,
            start_epoch=2)),
    optim_wrapper=dict(
        optimizer=dict(momentum=5e-4), paramwise_cfg=dict(lr_mult=dict(neck=1.0))),
    train_dataloader=dict(dataset=dict(augmentation='released_classifier')))

pseudo_masks = dict(maps=dict(type='arml.GradCAMMaps', relu=False))

model = dict(
    data_preprocessor=dict(normalise='unit'),
    num_networks=1,
    swv=dict(extra_batch_division=True),
    srm=dict(samples='image', resolution='mask'),
    background=dict(logit='zero', in_relation=True),
    network=dict(
        backbone=dict(encoder_depth=3),
        decode_head=dict(type='arml.ReleasedPSPHead', dropout_ratio=0.2, align_corners=True)))
train_dataloader = dict(drop_last=False, dataset=dict(augmentation='released_segmentor'))
