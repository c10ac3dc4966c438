# The baseline of stage 2: one network of the same template, cross entropy on the same pseudo masks.
_base_ = [
    './_base_/default_runtime.py',
    './_base_/classifiers/resnet18_ars_tiny.py',
    './_base_/segmentors/pspnet_tiny_alone.py',
    './_base_/schedules/segmentor_tiny.py',
    './_base_/datasets/synthetic_tiny.py',
    './_base_/pipelines/cross_entropy_tiny.py',
]
