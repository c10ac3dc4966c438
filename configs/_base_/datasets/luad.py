# LUAD-HistoSeg: as BCSS, but white areas of a tile are background in the pseudo masks (WSSS-Tissue). In a
# prediction the metric decides that, under protocol B alone and for every model alike.
_base_ = ['./bcss.py']

data_root = 'data/luad'
dataset = dict(type='arml.LUADHistoSegDataset')

train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
classifier_data = dict(
    train_dataloader=dict(dataset=dataset),
    val_dataloader=dict(dataset=dataset),
    test_dataloader=dict(dataset=dataset))
pseudo_masks = dict(
    rule=dict(white_area=dict(threshold=200, min_size=50)), dataloader=dict(dataset=dataset))

# Only names for this file; a leaf that nothing reads would take overrides in silence.
del dataset
