# Stage 1 of OEEM for two CPU cores: three maps of the tiny backbone side by side, 32 + 64 + 128 channels at output
# stride 8. One scale, and the mean over flips and turns that all tiny configs have.
_base_ = ['./resnet18_ars_tiny.py']

classifier = dict(
    model=dict(
        backbone=dict(out_indices=(1, 2, 3)),
        neck=dict(_delete_=True, type='arml.ConcatNeck', size_of=-1),
        head=dict(in_channels=224, bias=True),
        maps=dict(relu=False, scales=(1.0, )),
        mask_rule=dict(normalisation='joint')))
