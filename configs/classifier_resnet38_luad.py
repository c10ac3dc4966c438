# Stage 1 of ARML alone: the classifier with ARS, and the test of its raw CAM.
_base_ = [
    './_base_/default_runtime.py',
    './_base_/classifiers/resnet38_ars.py',
    './_base_/datasets/luad.py',
    './_base_/pipelines/classifier.py',
    './_base_/choices/start_classifier.py',
]

title = 'ARML, stage 1'
