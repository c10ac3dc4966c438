# UPerNet on ResNet-101: plain cross entropy on the pseudo masks that ARML learns from.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet38_ars.py',
    '../_base_/segmentors/single_network.py',
    '../_base_/networks/upernet_r101.py',
    '../_base_/schedules/segmentor_10e.py',
    '../_base_/datasets/bcss.py',
    '../_base_/pipelines/weak_supervision.py',
    '../_base_/choices/start.py',
]

title = 'UPerNet'
