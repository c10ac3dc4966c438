# All stages of OEEM in seconds: tiles of 32 pixels, networks of a few thousand parameters.
# serialize_data=False: a dozen tiles need no copy, and no garbage collection for each.
_base_ = ['../../configs/oeem/oeem_tiny_synthetic.py']

input_size = (32, 32)
tile_size = (32, 32)
labels = [dict(type='arml.LoadTile'), dict(type='arml.Augment'), dict(type='arml.PackTissueInputs')]
masks = [
    dict(type='arml.LoadTile'),
    dict(type='arml.LoadTissueMask', background='keep'),
    dict(type='arml.Augment'),
    dict(type='arml.PackTissueInputs'),
]
plain = [dict(type='arml.LoadTile'), dict(type='arml.PackTissueInputs')]
truth = [
    dict(type='arml.LoadTile'),
    dict(type='arml.LoadTissueMask', background='keep'),
    dict(type='arml.ImageLabelFromMask'),
    dict(type='arml.PackTissueInputs'),
]
narrow = dict(model_args=dict(channels=(4, 8, 8, 8)))

model = dict(
    network=dict(
        backbone=narrow,
        decode_head=dict(channels=8, pool_scales=(1, 2)),
    ),
)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=masks, serialize_data=False))
val_dataloader = dict(batch_size=6, dataset=dict(pipeline=truth, serialize_data=False))
test_dataloader = dict(batch_size=6, dataset=dict(pipeline=truth, serialize_data=False))
train_cfg = dict(max_epochs=2, val_interval=1)
classifier = dict(
    input_size=input_size,
    tile_size=tile_size,
    model=dict(backbone=narrow, head=dict(in_channels=20)),
    train_dataloader=dict(batch_size=4, dataset=dict(pipeline=labels, serialize_data=False)),
    val_dataloader=dict(batch_size=6, dataset=dict(pipeline=truth, serialize_data=False)),
    test_dataloader=dict(batch_size=6, dataset=dict(pipeline=truth, serialize_data=False)),
    train_cfg=dict(max_epochs=2, val_interval=2),
)
pseudo_masks = dict(
    dataloader=dict(batch_size=6, dataset=dict(pipeline=plain, serialize_data=False))
)

del labels, masks, plain, truth, narrow
