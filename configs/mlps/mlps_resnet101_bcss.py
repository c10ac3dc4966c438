# MLPS (Medical Image Analysis 2022), all stages. What paper and released code say: docs/methods/mlps.md.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet38_mlps.py',
    '../_base_/segmentors/mlps.py',
    '../_base_/networks/deeplabv3plus_resnet101_d16.py',
    '../_base_/schedules/segmentor_10e.py',
    '../_base_/datasets/bcss.py',
    '../_base_/pipelines/mlps.py',
    '../_base_/choices/start.py',
    '../_base_/choices/schedule_mlps.py',
]

# One run gives the masks of three layers; the last is called final.
pseudo_masks = dict(
    maps=dict(type='arml.GradCAMMaps', layers=['b4_5', 'b5_2', 'bn7'], relu=False))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='arml.LoadTile'),
            dict(type='arml.LoadTissueMask', background='keep'),
            # folders are bound to the product of the pseudo-mask stage
            dict(
                type='arml.LoadFurtherMasks',
                background='keep',
                folders=dict(middle=None, shallow=None)),
            dict(type='arml.Augment'),
            dict(type='arml.PackTissueInputs'),
        ]))
