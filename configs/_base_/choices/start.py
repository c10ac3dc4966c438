# start=imagenet or start=scratch: both stages; of the segmentor's backbone nothing is frozen anyway.
_base_ = ['./start_classifier.py']

start_choices = {'scratch': {'model.network.backbone.init_cfg': None}}
