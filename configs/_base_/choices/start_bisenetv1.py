# start=imagenet or start=scratch: both stages. BiSeNetV1 holds its ResNet as a part.
_base_ = ['./start_classifier.py']

start_choices = {'scratch': {'model.network.backbone.backbone_cfg.init_cfg': None}}
