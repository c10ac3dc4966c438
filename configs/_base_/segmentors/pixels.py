# How tiles enter the networks of stage 2: with the mean and deviation of ImageNet, as their weights expect.
model = dict(
    data_preprocessor=dict(
        type='arml.TissueDataPreProcessor',
        normalise='dataset',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=1,
        pad_val=0,
        seg_pad_val=255))
