# The upper bound: one network of the same template, cross entropy on the dense masks of train_mask/.
_base_ = [
    './_base_/default_runtime.py',
    './_base_/classifiers/resnet18_ars_tiny.py',
    './_base_/segmentors/pspnet_tiny_alone.py',
    './_base_/schedules/segmentor_tiny.py',
    './_base_/datasets/synthetic_tiny.py',
    './_base_/pipelines/full_supervision_tiny.py',
]

train_dataloader = dict(dataset=dict(masks='dense'))
# An upper bound is trained until it stands: twice the steps of the weak methods.
train_cfg = dict(max_epochs=32)
