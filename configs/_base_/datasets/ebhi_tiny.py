# EBHI, 371 real tiles of 224 pixels read at 112, for two CPU cores. Mask value 4 is ignored.
# Make it with: python tools/dataset_converters/ebhi.py --help
_base_ = ['./synthetic_tiny.py']

data_root = 'data/ebhi'
dataset = dict(type='arml.EBHIDataset')

train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
classifier_data = dict(
    train_dataloader=dict(dataset=dataset),
    val_dataloader=dict(dataset=dataset),
    test_dataloader=dict(dataset=dataset))
pseudo_masks = dict(dataloader=dict(dataset=dataset))

# Only names for this file; a leaf that nothing reads would take overrides in silence.
del dataset
