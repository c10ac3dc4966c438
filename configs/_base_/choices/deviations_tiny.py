# deviation=NAME: one deviation between the paper and the released code, in the configs for two CPU cores.
# docs/paper_vs_released.md explains each. Left out is what cannot show there: learning rates, momentum and the
# size of a loss (AdamW is blind to them), and the batch norm of ResNet38d.
choices = dict(
    deviation={
        'none': {},
        # stage 1
        'no_ars': {'classifier.model.neck.enabled': False},
        'attention_over_rows': {'classifier.model.neck.softmax_dim': 'height'},
        'position_counted_twice': {'classifier.model.neck.mask_self': False},
        'attention_untrained': {'classifier.model.neck.gamma_trainable': False},
        'reactivation_released': {'classifier.model.neck.reactivation': 'released'},
        'reactivation_released_untrained': {
            'classifier.model.neck.reactivation': 'released',
            'classifier.model.neck.channel_gate': 'frozen',
            'classifier.model.neck.gate_norm_eval': True,
        },
        'ars_in_training_only': {'classifier.model.neck.at_inference': False},
        'ars_from_a_tenth': {'classifier.model.neck.start_epoch': 2},
        'classifier_pixels_unit': {'classifier.model.data_preprocessor.normalise': 'unit'},
        'classifier_augmentation_released': {
            'classifier.train_dataloader.dataset.augmentation': 'released_classifier',
        },
        'maps_without_relu': {'pseudo_masks.maps.relu': False},
        # stage 2
        'one_network': {'model.num_networks': 1},
        'one_network_symmetric': {'model.num_networks': 1, 'model.symmetric': True},
        'samples_image': {'model.srm.samples': 'image'},
        'samples_region': {'model.srm.samples': 'region'},
        'samples_image_of_mask_size': {
            'model.srm.samples': 'image',
            'model.srm.resolution': 'mask',
        },
        'no_angle': {'model.srm.beta': 0},
        'weights_1_and_0.1': {'model.mask_weight': 1.0, 'model.lambda_': 0.1},
        'gradient_into_teacher': {'model.srm.teacher_gradient': True},
        'background_logit': {'model.background.logit': 'zero', 'model.background.in_relation': True},
        'encoder_cut': {'model.network.backbone.out_indices': [2]},
        'head_released': {
            'model.network.decode_head.type': 'arml.ReleasedPSPHead',
            'model.network.decode_head.dropout_ratio': 0.2,
            'model.network.decode_head.align_corners': True,
        },
        'segmentor_pixels_unit': {'model.data_preprocessor.normalise': 'unit'},
        'segmentor_augmentation_released': {
            'train_dataloader.dataset.augmentation': 'released_segmentor',
        },
        'last_batch_kept': {'train_dataloader.drop_last': False},
    })
deviation = 'none'
