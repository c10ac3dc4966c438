# DeepLabV3+ for two CPU cores: plain cross entropy on the pseudo masks that ARML learns from.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet18_ars_tiny.py',
    '../_base_/segmentors/single_network_tiny.py',
    '../_base_/networks/deeplabv3plus_tiny.py',
    '../_base_/schedules/segmentor_tiny.py',
    '../_base_/datasets/ebhi_tiny.py',
    '../_base_/pipelines/weak_supervision_tiny.py',
    '../_base_/choices/supervision.py',
]

title = 'DeepLabV3+'
