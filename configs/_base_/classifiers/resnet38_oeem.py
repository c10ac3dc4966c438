# Stage 1 of OEEM: ResNet38d with three of its maps side by side, 512 + 1024 + 4096 channels at output stride 8, and
# CAM by the linear layer with its bias, raw, summed over scales. Training as of every classifier here.
_base_ = ['./resnet38_ars.py']

classifier = dict(
    model=dict(
        backbone=dict(out_indices=(1, 2, 3), dilations=dict(b7=2)),
        neck=dict(_delete_=True, type='arml.ConcatNeck', size_of=-1),
        head=dict(in_channels=5632, dropout=0.0, bias=True),
        # The largest scale first: the maps meet at its size.
        maps=dict(relu=False, scales=(2.0, 1.75, 1.5, 1.25, 1.0)),
        mask_rule=dict(normalisation='joint')),
    # No epoch is chosen by it, and at five scales it costs more than half an epoch of training (BCSS).
    train_cfg=dict(val_interval=5))
