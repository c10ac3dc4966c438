# Stage 1 of the methods that only define a map: ResNet38d as in resnet38_ars.py, without ARS.
_base_ = ['./resnet38_ars.py']

classifier = dict(model=dict(neck=dict(enabled=False)))
