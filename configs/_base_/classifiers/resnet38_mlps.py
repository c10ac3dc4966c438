# Stage 1 of MLPS: ResNet38d with progressive dropout attention while it is trained, otherwise as resnet38_ars.py.
_base_ = ['./resnet38_ars.py']

classifier = dict(
    model=dict(
        type='arml.MLPSClassifier',
        neck=None,
        attention=dict(
            type='arml.ProgressiveDropoutAttention',
            enabled=True,
            mu_start=1.0,
            decay=0.98,
            floor=0.65,
            start_epoch=3)),
    optim_wrapper=dict(paramwise_cfg=dict(lr_mult=dict(_delete_=True, backbone=1.0, head=10.0))))
