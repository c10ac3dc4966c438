# deviation=NAME: one deviation between the paper and the released code, in the configs of full size that are the
# paper's. docs/paper_vs_released.md explains each. A leaf that is read only beside another stands with that one,
# so no cell is the paper's config under another name. 'channel_gate_frozen' and 'gate_norm_fixed' are to be
# compared with 'reactivation_released', 'background_in_relation' with 'background_logit', and
# 'cross_entropy_divided' with 'cross_entropy', which is no deviation but components=ars (tables.py).
deviation_choices = {
    'none': {},
    # stage 1
    'attention_over_rows': {'classifier.model.neck.softmax_dim': 'height'},
    'position_counted_twice': {'classifier.model.neck.mask_self': False},
    'attention_untrained': {'classifier.model.neck.gamma_trainable': False},
    'reactivation_released': {'classifier.model.neck.reactivation': 'released'},
    'channel_gate_frozen': {
        'classifier.model.neck.reactivation': 'released',
        'classifier.model.neck.channel_gate': 'frozen',
    },
    'gate_norm_fixed': {
        'classifier.model.neck.reactivation': 'released',
        'classifier.model.neck.gate_norm_eval': True,
    },
    'ars_in_training_only': {'classifier.model.neck.at_inference': False},
    'ars_from_third_epoch': {'classifier.model.neck.start_epoch': 2},
    'classifier_pixels_unit': {'classifier.model.data_preprocessor.normalise': 'unit'},
    'classifier_momentum': {'classifier.optim_wrapper.optimizer.momentum': 5e-4},
    'ars_rate_of_backbone': {'classifier.optim_wrapper.paramwise_cfg.lr_mult.neck': 1.0},
    'classifier_augmentation_released': {
        'classifier.train_dataloader.dataset.augmentation': 'released_classifier',
    },
    'grad_cam': {'pseudo_masks.maps.type': 'arml.GradCAMMaps'},
    'maps_without_relu': {'pseudo_masks.maps.relu': False},
    # stage 2
    'one_network': {'model.num_networks': 1},
    'samples_image': {'model.srm.samples': 'image'},
    'relation_of_mask_size': {'model.srm.resolution': 'mask'},
    'background_logit': {'model.background.logit': 'zero'},
    'background_in_relation': {
        'model.background.logit': 'zero',
        'model.background.in_relation': True,
    },
    'cross_entropy': {
        'model.num_networks': 1,
        'model.swv.enabled': False,
        'model.srm.enabled': False,
        'model.lambda_': 0.0,
    },
    'cross_entropy_divided': {
        'model.num_networks': 1,
        'model.swv.enabled': False,
        'model.swv.extra_batch_division': True,
        'model.srm.enabled': False,
        'model.lambda_': 0.0,
    },
    'encoder_cut': {'model.network.backbone.encoder_depth': 3},
    'head_released': {'model.network.decode_head.type': 'arml.ReleasedPSPHead'},
    'head_dropout': {'model.network.decode_head.dropout_ratio': 0.2},
    'corners_aligned': {'model.network.decode_head.align_corners': True},
    'segmentor_pixels_unit': {'model.data_preprocessor.normalise': 'unit'},
    'segmentor_augmentation_released': {
        'train_dataloader.dataset.augmentation': 'released_segmentor',
    },
    'last_batch_kept': {'train_dataloader.drop_last': False},
}
deviation = 'none'
