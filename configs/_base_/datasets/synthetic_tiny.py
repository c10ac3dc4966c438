# Synthetic tissue, tiles of 224 pixels read at 112, for two CPU cores.
# Make it with: python tools/dataset_converters/synthetic.py --out data/synthetic
data_root = 'data/synthetic'
input_size = (112, 112)
tile_size = (224, 224)

small = dict(type='Resize', scale=(112, 112))
train_labels = [dict(type='arml.LoadTile'), small, dict(type='arml.Augment'), dict(type='arml.PackTissueInputs')]
train_masks = [
    dict(type='arml.LoadTile'),
    # what becomes of background in training is for model.background to say
    dict(type='arml.LoadTissueMask', background='keep'),
    small,
    dict(type='arml.Augment'),
    dict(type='arml.PackTissueInputs'),
]
plain = [dict(type='arml.LoadTile'), small, dict(type='arml.PackTissueInputs')]
with_truth = [
    dict(type='arml.LoadTile'),
    small,
    dict(type='arml.LoadTissueMask', background='keep'),
    dict(type='arml.ImageLabelFromMask'),
    dict(type='arml.PackTissueInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    # masks are bound to the product of the pseudo-mask stage
    dataset=dict(
        type='arml.SyntheticTissueDataset',
        split='train',
        masks=None,
        augmentation='turns_and_stain',
        pipeline=train_masks))
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='arml.SyntheticTissueDataset', split='val', masks='dense', test_mode=True,
        pipeline=with_truth))
test_dataloader = dict(
    batch_size=16,
    num_workers=0,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='arml.SyntheticTissueDataset', split='test', masks='dense', test_mode=True,
        pipeline=with_truth))
val_evaluator = dict(type='arml.TissueMetric')
test_evaluator = dict(type='arml.TissueMetric')
val_cfg = dict()
test_cfg = dict()

classifier_data = dict(
    input_size=input_size,
    tile_size=tile_size,
    train_dataloader=dict(
        batch_size=16,
        num_workers=0,
        drop_last=True,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(
            type='arml.SyntheticTissueDataset',
            split='train',
            augmentation='turns_and_stain',
            pipeline=train_labels)),
    val_dataloader=val_dataloader,
    test_dataloader=test_dataloader,
    val_evaluator=[dict(type='arml.TissueMetric'), dict(type='arml.ImageLabelMetric')],
    test_evaluator=[dict(type='arml.TissueMetric'), dict(type='arml.ImageLabelMetric')],
    val_cfg=dict(),
    test_cfg=dict())

pseudo_masks = dict(
    maps=dict(type='arml.WeightMaps', relu=True, flips=True, rotations=True),
    rule=dict(type='arml.MaskRule', normalisation='per_class'),
    dataloader=dict(
        batch_size=16,
        num_workers=0,
        dataset=dict(type='arml.SyntheticTissueDataset', split='train', pipeline=plain)))

# Only names for this file; a leaf that nothing reads would take overrides in silence.
del small, train_labels, train_masks, plain, with_truth
