# OEEM (MICCAI 2022), all stages. As ARML's paper gives it, Table 1, protocol A: mIoU 73.92.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/classifiers/resnet38_oeem.py',
    '../_base_/segmentors/oeem.py',
    '../_base_/networks/pspnet_resnet38_auxiliary.py',
    '../_base_/schedules/segmentor_10e.py',
    '../_base_/datasets/luad.py',
    '../_base_/pipelines/weak_supervision.py',
    '../_base_/choices/start_resnet38.py',
    '../_base_/choices/deviations_oeem.py',
]

# The sum of the raw CAM logits over scales and its arg-max; the largest scale first: the maps meet at its size.
pseudo_masks = dict(maps=dict(relu=False, scales=(2.0, 1.75, 1.5, 1.25, 1.0)))
