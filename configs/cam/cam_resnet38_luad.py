# CAM (CVPR 2016): the classifier of arml_resnet38_luad.py without ARS, its weight maps, and the common stage 2.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet38_cam.py',
    '../_base_/segmentors/single_network.py',
    '../_base_/networks/pspnet_resnest101.py',
    '../_base_/schedules/segmentor_10e.py',
    '../_base_/datasets/luad.py',
    '../_base_/pipelines/weak_supervision.py',
    '../_base_/choices/start.py',
    '../_base_/choices/maps.py',
]

title = 'CAM'
# The squeeze of ResNeSt's split attention has a bias before a batch norm, which cancels it.
default_hooks = dict(parameter_check=dict(exceptions=['*.fc1.bias']))
