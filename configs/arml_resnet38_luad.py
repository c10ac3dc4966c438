# ARML as in the paper (MICCAI 2024), all stages. Paper, Table 1, protocol A: mIoU 76.82 +- 0.37.
_base_ = [
    './_base_/default_runtime.py',
    './_base_/classifiers/resnet38_ars.py',
    './_base_/segmentors/mutual_learning.py',
    './_base_/networks/pspnet_resnet38.py',
    './_base_/schedules/segmentor_10e.py',
    './_base_/datasets/luad.py',
    './_base_/pipelines/weak_supervision.py',
    './_base_/choices/start_resnet38.py',
    './_base_/choices/tables.py',
]

title = 'ARML (ResNet38d)'
