# SegFormer for two CPU cores: plain cross entropy on the pseudo masks that ARML learns from, from scratch.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet18_ars_tiny.py',
    '../_base_/segmentors/single_network_tiny.py',
    '../_base_/networks/segformer_tiny.py',
    '../_base_/schedules/segmentor_tiny.py',
    '../_base_/datasets/synthetic_tiny.py',
    '../_base_/pipelines/weak_supervision.py',
    '../_base_/choices/supervision.py',
]

title = 'SegFormer (from scratch)'
