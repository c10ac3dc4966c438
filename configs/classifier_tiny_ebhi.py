# Stage 1 of arml_tiny_ebhi.py alone: the classifier, its pseudo masks and its raw CAM.
_base_ = [
    './_base_/default_runtime.py',
    './_base_/classifiers/resnet18_ars_tiny.py',
    './_base_/datasets/ebhi_tiny.py',
    './_base_/pipelines/maps_tiny.py',
    './_base_/choices/deviations_tiny_maps.py',
]

title = 'ARML, stage 1'
