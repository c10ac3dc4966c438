# BiSeNetV1 on ResNet-18, for real time: plain cross entropy on the pseudo masks that ARML learns from.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet38_ars.py',
    '../_base_/segmentors/single_network.py',
    '../_base_/networks/bisenetv1_r18.py',
    '../_base_/schedules/segmentor_10e.py',
    '../_base_/datasets/bcss.py',
    '../_base_/pipelines/weak_supervision.py',
    '../_base_/choices/start_bisenetv1.py',
]

title = 'BiSeNetV1'
