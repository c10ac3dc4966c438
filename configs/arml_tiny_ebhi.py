# ARML, all stages, small enough for two CPU cores, from scratch, with the floors beside it.
_base_ = [
    './_base_/default_runtime.py',
    './_base_/classifiers/resnet18_ars_tiny.py',
    './_base_/segmentors/mutual_learning_tiny.py',
    './_base_/networks/pspnet_tiny.py',
    './_base_/schedules/segmentor_tiny.py',
    './_base_/datasets/ebhi_tiny.py',
    './_base_/pipelines/weak_supervision_tiny.py',
    './_base_/choices/deviations_tiny.py',
    './_base_/choices/tables.py',
]
