# ARML for two CPU cores as its authors' released code does it, beside arml_tiny_ebhi.py: every deviation that can
# show at this size. Optimiser, length and views of the maps are those of all tiny configs.
_base_ = ['./arml_tiny_ebhi.py']

title = 'ARML (released)'
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
    train_dataloader=dict(dataset=dict(augmentation='released_classifier')))

pseudo_masks = dict(maps=dict(type='arml.GradCAMMaps', relu=False))

model = dict(
    data_preprocessor=dict(normalise='unit'),
    num_networks=1,
    srm=dict(samples='image', resolution='mask'),
    background=dict(logit='zero', in_relation=True),
    network=dict(
        backbone=dict(out_indices=(2, )),
        decode_head=dict(type='arml.ReleasedPSPHead', dropout_ratio=0.2, align_corners=True)))
train_dataloader = dict(drop_last=False, dataset=dict(augmentation='released_segmentor'))
