# A pyramid head on the backbone that the files which inherit from this one set.
network = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='PSPHead',
        in_channels=None,  # those of the backbone
        in_index=0,
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # mmseg would start the last convolution at a deviation of 0.01. The relation losses do not
        # depend on the scale of the logits, so their gradient grows as that shrinks: at such a
        # start it drowns the masks. torch's own start is used instead; in all templates here, other
        # heads included, so that no method starts from another point than ARML.
        init_cfg=None),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
