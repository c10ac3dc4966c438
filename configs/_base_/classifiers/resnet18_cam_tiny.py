# Stage 1 of the methods that only define a map, for two CPU cores: as resnet18_ars_tiny.py, without ARS.
_base_ = ['./resnet18_ars_tiny.py']

classifier = dict(model=dict(neck=dict(enabled=False)))
