# OEEM, all stages, small enough for two CPU cores, from scratch.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet18_oeem_tiny.py',
    '../_base_/segmentors/oeem_tiny.py',
    '../_base_/networks/pspnet_tiny.py',
    '../_base_/schedules/segmentor_tiny.py',
    '../_base_/datasets/synthetic_tiny.py',
    '../_base_/pipelines/weak_supervision_tiny.py',
]

# The raw CAM logits, as a mean over flips and turns, and its arg-max.
pseudo_masks = dict(maps=dict(relu=False, scales=(1.0, )), rule=dict(normalisation='joint'))
