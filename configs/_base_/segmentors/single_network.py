# Stage 2: one network, set by network (a file of ../networks), under one loss on the pseudo masks.
_base_ = ['./pixels.py']

model = dict(
    type='arml.SingleNetworkSegmentor',
    mask_loss=dict(type='arml.PixelCrossEntropy', extra_batch_division=False),
    background=dict(logit='ignored'))
