# deviation=NAME: one deviation of stage 1 between the paper and the released code, in the configs for two CPU cores.
# docs/paper_vs_released.md explains each. Left out is what cannot show there: momentum, which AdamW has not, and
# the batch norm of ResNet38d. 'ars_from_a_tenth': from the third epoch, of 16 an eighth, of 20 a tenth.
deviation_choices = {
    'none': {},
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
}
deviation = 'none'
