# MLPS, all stages, for two CPU cores, from scratch: the networks and the training of arml_tiny_ebhi.py.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet18_mlps_tiny.py',
    '../_base_/segmentors/mlps_tiny.py',
    '../_base_/networks/pspnet_tiny.py',
    '../_base_/schedules/segmentor_tiny.py',
    '../_base_/datasets/ebhi_tiny.py',
    '../_base_/pipelines/mlps_tiny.py',
]

# One run gives the masks of three layers; the last is called final. At output stride 8, after two thirds and five
# sixths of the blocks, as in ResNet38d.
pseudo_masks = dict(
    maps=dict(
        type='arml.GradCAMMaps', layers=['net.layer2', 'net.layer3.0', 'features'], relu=False))
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
            dict(type='Resize', scale=(112, 112)),
            dict(type='arml.Augment'),
            dict(type='arml.PackTissueInputs'),
        ]))
