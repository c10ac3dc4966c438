# deviation=NAME: what the released code of OEEM does otherwise than the defaults here.
# docs/methods/oeem.md explains each.
deviation_choices = {
    'none': {},
    # stage 1
    # Its length in epochs is counted in iterations: in 20 of them the rate falls to 0.01 (1 - 19/20)^0.9, where it
    # stays. It has one rate for all parameters.
    'classifier_schedule': {
        'classifier.param_scheduler': [
            dict(type='PolyLR', power=0.9, eta_min=6.748e-4, begin=0, end=20, by_epoch=False)
        ],
        'classifier.optim_wrapper.paramwise_cfg.lr_mult.head': 1.0,
        'classifier.optim_wrapper.paramwise_cfg.bias_lr_mult': 1.0,
    },
    'classifier_momentum': {'classifier.optim_wrapper.optimizer.momentum': 1e-4},
    'classifier_weight_decay': {'classifier.optim_wrapper.optimizer.weight_decay': 0.0},
    'classifier_conv1a_frozen': {'classifier.model.backbone.frozen_stages': 1},
    'classifier_best_epoch': {'classifier.default_hooks.checkpoint.save_best': 'mIoU'},
    # stage 2
    'ignored_in_weights': {'model.mask_loss.ignored_in_weights': True},
    'backbone_trained': {
        'model.network.backbone.frozen_stages': 0,
        'model.network.backbone.norm_eval': False,
        'model.network.backbone.norm_cfg.requires_grad': True,
    },
    'rate_floor': {
        'param_scheduler': [
            dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, by_epoch=True,
                 convert_to_iter_based=True)
        ],
    },
}
deviation = 'none'
