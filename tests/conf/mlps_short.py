# All stages of MLPS in seconds: tiles of 32 pixels, networks of a few thousand parameters.
_base_ = ['../../configs/mlps/mlps_tiny_synthetic.py']

input_size = (32, 32)
tile_size = (32, 32)
labels = [dict(type='arml.LoadTile'), dict(type='arml.Augment'), dict(type='arml.PackTissueInputs')]
masks = [
    dict(type='arml.LoadTile'),
    dict(type='arml.LoadTissueMask', background='keep'),
    dict(type='arml.LoadFurtherMasks', background='keep', folders=dict(middle=None, shallow=None)),
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

network = dict(backbone=narrow, decode_head=dict(channels=8, pool_scales=(1, 2)))
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=masks, indices=8))
val_dataloader = dict(batch_size=4, dataset=dict(pipeline=truth))
test_dataloader = dict(batch_size=4, dataset=dict(pipeline=truth))
train_cfg = dict(max_epochs=2, val_interval=1)
classifier = dict(
    input_size=input_size,
    tile_size=tile_size,
    model=dict(backbone=narrow, head=dict(in_channels=8), attention=dict(start_epoch=1)),
    train_dataloader=dict(batch_size=4, dataset=dict(pipeline=labels, indices=8)),
    val_dataloader=dict(batch_size=4, dataset=dict(pipeline=truth)),
    test_dataloader=dict(batch_size=4, dataset=dict(pipeline=truth)),
    train_cfg=dict(max_epochs=3, val_interval=3),
)
pseudo_masks = dict(dataloader=dict(batch_size=4, dataset=dict(pipeline=plain)))

del labels, masks, plain, truth, narrow
