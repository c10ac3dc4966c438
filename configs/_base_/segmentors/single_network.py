# Stage 2: one network, set by network (a file of ../networks), under one loss on the pseudo masks.
model = dict(
    type='arml.SingleNetworkSegmentor',
    data_preprocessor=dict(
        type='arml.TissueDataPreProcessor',
        normalise='dataset',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=1,
        pad_val=0,
        seg_pad_val=255),
    mask_loss=dict(type='arml.PixelCrossEntropy', extra_batch_division=False),
    background=dict(logit='ignored'))
