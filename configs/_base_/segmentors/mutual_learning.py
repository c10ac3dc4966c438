# Stage 2: the training of ARML around any template of a network, set by network (a file of ../networks).
# Paper: section 2.3, eqs. 4-8; omega, alpha, beta, lambda as published.
_base_ = ['./pixels.py']

title = 'ARML'
model = dict(
    type='arml.MutualLearningSegmentor',
    num_networks=3,
    # Of one network run three times (num_networks=1) only.
    symmetric=False,
    # Eq. 4. omega 'drop' is the paper's infinity.
    swv=dict(type='arml.SWVLoss', enabled=True, omega=2, normalise=False, extra_batch_division=False),
    # Eqs. 5-8.
    srm=dict(
        type='arml.SRMLoss',
        enabled=True,
        relation='structure',
        alpha=30.,
        beta=60.,
        samples='pixel',
        per_tile=64,
        teacher_gradient=False,
        direction='from_peers',
        resolution='logits',
        # Of the other relations of Table 4 only: point_form of 'point', the rest of 'kl' and 'crl_joint'.
        point_form='paper',
        temperature=30.,
        axis='class'),
    lambda_=0.2,
    # Weight of the voting loss; None: 1 - lambda_.
    mask_weight=None,
    background=dict(logit='ignored', in_relation=False),
    prediction='a')
