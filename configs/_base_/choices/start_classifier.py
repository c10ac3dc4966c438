# start=imagenet (as in the paper) or start=scratch, without weights: then nothing of ResNet38d is frozen. Its
# first blocks and its norms would otherwise stay at random values and at (0, 1).
start_choices = {
    'imagenet': {},
    'scratch': {
        'classifier.model.backbone.init_cfg': None,
        'classifier.model.backbone.frozen_stages': 0,
        'classifier.model.backbone.norm_eval': False,
        'classifier.model.backbone.norm_cfg.requires_grad': True,
    },
}
start = 'imagenet'
