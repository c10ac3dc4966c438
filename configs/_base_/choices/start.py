# start=imagenet or start=scratch: both stages; of the segmentor's backbone nothing is frozen anyway.
_base_ = ['./start_classifier.py']

choices = dict(start={'scratch': {'model.network.backbone.init_cfg': None}})
