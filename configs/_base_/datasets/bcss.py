# BCSS-WSSS at 224 pixels: the three loaders of both stages, and the tiles that get pseudo masks.
# Data sets take data_root from here, after all overrides.
data_root = 'data/bcss'
input_size = (224, 224)
tile_size = (224, 224)

train_labels = [
    dict(type='arml.LoadTile'),
    dict(type='arml.Augment'),
    dict(type='arml.PackTissueInputs'),
]
train_masks = [
    dict(type='arml.LoadTile'),
    # what becomes of background in training is for model.background to say
    dict(type='arml.LoadTissueMask', background='keep'),
    dict(type='arml.Augment'),
    dict(type='arml.PackTissueInputs'),
]
plain = [dict(type='arml.LoadTile'), dict(type='arml.PackTissueInputs')]
with_truth = [
    dict(type='arml.LoadTile'),
    dict(type='arml.LoadTissueMask', background='keep'),
    dict(type='arml.ImageLabelFromMask'),
    dict(type='arml.PackTissueInputs'),
]

train_dataloader = dict(
    batch_size=20,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    # masks are bound to the product of the pseudo-mask stage
    dataset=dict(
        type='arml.BCSSDataset',
        split='train',
        masks=None,
        augmentation='flips',
        pipeline=train_masks))
val_dataloader = dict(
    batch_size=20,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='arml.BCSSDataset', split='val', masks='dense', test_mode=True, pipeline=with_truth))
test_dataloader = dict(
    batch_size=20,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='arml.BCSSDataset', split='test', masks='dense', test_mode=True, pipeline=with_truth))
val_evaluator = dict(type='arml.TissueMetric')
test_evaluator = dict(type='arml.TissueMetric')
val_cfg = dict()
test_cfg = dict()

classifier_data = dict(
    input_size=input_size,
    tile_size=tile_size,
    train_dataloader=dict(
        batch_size=20,
        num_workers=4,
        persistent_workers=True,
        pin_memory=True,
        drop_last=True,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(
            type='arml.BCSSDataset', split='train', augmentation='flips', pipeline=train_labels)),
    val_dataloader=val_dataloader,
    test_dataloader=test_dataloader,
    val_evaluator=[dict(type='arml.TissueMetric'), dict(type='arml.ImageLabelMetric')],
    test_evaluator=[dict(type='arml.TissueMetric'), dict(type='arml.ImageLabelMetric')],
    val_cfg=dict(),
    test_cfg=dict())

pseudo_masks = dict(
    maps=dict(type='arml.WeightMaps', relu=True),
    rule=dict(type='arml.MaskRule', normalisation='joint'),
    dataloader=dict(
        batch_size=20,
        num_workers=4,
        dataset=dict(type='arml.BCSSDataset', split='train', pipeline=plain)))

# Only names for this file; a leaf that nothing reads would take overrides in silence.
del train_labels, train_masks, plain, with_truth
