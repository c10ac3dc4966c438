# Stage 1 with ARS (eqs. 1-3) as the paper has it; backbone, channels and training are set by the files
# that inherit from this one. CAM is read from the features that the head reads.
classifier = dict(
    model=dict(
        type='arml.MultiLabelClassifier',
        data_preprocessor=dict(type='arml.TissueDataPreProcessor', bgr_to_rgb=True),
        neck=dict(
            type='arml.ARSNeck',
            enabled=True,
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
        head=dict(type='arml.LinearMapHead', num_classes=4),
        loss=dict(type='arml.MultiLabelSoftMarginLoss'),
        maps=dict(type='arml.WeightMaps'),
        mask_rule=dict(type='arml.MaskRule'),
        presence_threshold=0.25),
    # Last epoch, as published: no choice by validation in stage 1.
    default_hooks=dict(checkpoint=dict(save_best=None)))
