# LUAD-HistoSeg: as BCSS, but white areas of a tile are background (methods of WSSS-Tissue).
_base_ = ['./bcss.py']

data_root = 'data/luad'
dataset = dict(type='arml.LUADHistoSegDataset')
white_area = dict(threshold=200, min_size=50)

train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
classifier_data = dict(
    model=dict(mask_rule=dict(white_area=white_area)),
    train_dataloader=dict(dataset=dataset),
    val_dataloader=dict(dataset=dataset),
    test_dataloader=dict(dataset=dataset))
pseudo_masks = dict(rule=dict(white_area=white_area), dataloader=dict(dataset=dataset))

# Only names for this file; a leaf that nothing reads would take overrides in silence.
del dataset, white_area
