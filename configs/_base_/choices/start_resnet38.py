# start=imagenet or start=scratch: both stages on ResNet38d.
_base_ = ['./start.py']

start_choices = {
    'scratch': {
        'model.network.backbone.frozen_stages': 0,
        'model.network.backbone.norm_eval': False,
        'model.network.backbone.norm_cfg.requires_grad': True,
    },
}
