# Stage 1 of MLPS for two CPU cores: the network and the training of resnet18_ars_tiny.py, with progressive
# dropout attention in the place of ARS.
_base_ = ['./resnet18_ars_tiny.py']

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
            start_epoch=3)))
