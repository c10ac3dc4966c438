# All stages of ARML in seconds: tiles of 32 pixels, networks of a few thousand parameters.
_base_ = ['../../configs/arml_tiny_synthetic.py']

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
backbone = dict(
    _delete_=True,
    type='arml.TimmBackbone',
    model_name='resnet18',
    output_stride=8,
    out_indices=(3,),
    pretrained=False,
    model_args=dict(channels=(4, 8, 8, 8)),
)

model = dict(
    network=dict(
        backbone=dict(model_args=dict(channels=(4, 8, 8, 8))),
        decode_head=dict(in_channels=8, channels=8, pool_scales=(1, 2), dropout_ratio=0.1),
    ),
    srm=dict(per_tile=8),
)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=masks))
val_dataloader = dict(batch_size=4, dataset=dict(pipeline=truth))
test_dataloader = dict(batch_size=4, dataset=dict(pipeline=truth))
train_cfg = dict(max_epochs=3)
classifier = dict(
    input_size=input_size,
    tile_size=tile_size,
    model=dict(backbone=backbone, neck=dict(in_channels=8, reduction=2), head=dict(in_channels=8)),
    train_dataloader=dict(batch_size=4, dataset=dict(pipeline=labels)),
    val_dataloader=dict(batch_size=4, dataset=dict(pipeline=truth)),
    test_dataloader=dict(batch_size=4, dataset=dict(pipeline=truth)),
    train_cfg=dict(max_epochs=3, val_interval=1),
)
pseudo_masks = dict(dataloader=dict(batch_size=4, dataset=dict(pipeline=plain)))

del labels, masks, plain, truth, backbone
