# Stage 2: the training of ARML around any template of a network (model.network, set by the files
# that inherit from this one). Paper: section 2.3, eqs. 4-8; omega, alpha, beta, lambda as published.
model = dict(
    type='arml.MutualLearningSegmentor',
    data_preprocessor=dict(
        type='arml.TissueDataPreProcessor',
        normalise='dataset',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=1,
        pad_val=0,
        seg_pad_val=255),
    num_networks=3,
    # Eq. 4. omega 'drop' is the paper's infinity.
    swv=dict(type='arml.SWVLoss', enabled=True, omega=2, normalise=False),
    # Eqs. 5-8.
    srm=dict(
        type='arml.SRMLoss',
        enabled=True,
        relation='structure',
        alpha=30.,
        beta=60.,
        samples='pixel',
        per_tile=64,
        resolution='logits'),
    lambda_=0.2,
    prediction='a')
