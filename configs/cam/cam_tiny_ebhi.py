# CAM for two CPU cores: the classifier of arml_tiny_ebhi.py without ARS, its weight maps, and the common stage 2.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet18_cam_tiny.py',
    '../_base_/segmentors/single_network_tiny.py',
    '../_base_/networks/pspnet_tiny.py',
    '../_base_/schedules/segmentor_tiny.py',
    '../_base_/datasets/ebhi_tiny.py',
    '../_base_/pipelines/weak_supervision_tiny.py',
    '../_base_/choices/maps.py',
]

title = 'CAM'
