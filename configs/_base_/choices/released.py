# released=no, full or tiny: ARML as its authors' released code has it; docs/paper_vs_released.md explains each leaf. full is
# for the configs on ResNeSt-101; tiny sets what can show at CPU size, where optimiser, length and views of the maps are
# those of all tiny configs.
both = {
    'title': '{title} (released)',
    'classifier.model.data_preprocessor.normalise': 'unit',
    'classifier.model.neck.softmax_dim': 'height',
    'classifier.model.neck.mask_self': False,
    'classifier.model.neck.gamma_trainable': False,
    'classifier.model.neck.reactivation': 'released',
    'classifier.model.neck.channel_gate': 'frozen',
    'classifier.model.neck.gate_norm_eval': True,
    'classifier.model.neck.at_inference': False,
    'classifier.model.neck.start_epoch': 2,
    'classifier.train_dataloader.dataset.augmentation': 'released_classifier',
    'pseudo_masks.maps.type': 'arml.GradCAMMaps',
    'pseudo_masks.maps.relu': False,
    'model.data_preprocessor.normalise': 'unit',
    'model.num_networks': 1,
    'model.srm.samples': 'image',
    'model.srm.resolution': 'mask',
    'model.background.logit': 'zero',
    'model.background.in_relation': True,
    'model.network.decode_head.type': 'arml.ReleasedPSPHead',
    'model.network.decode_head.dropout_ratio': 0.2,
    'model.network.decode_head.align_corners': True,
    'train_dataloader.dataset.augmentation': 'released_segmentor',
}
released_choices = {
    'no': {},
    'full': {
        **both,
        'classifier.optim_wrapper.optimizer.momentum': 5e-4,
        'classifier.optim_wrapper.paramwise_cfg.lr_mult.neck': 1.0,
        'model.swv.extra_batch_division': True,
        'model.network.backbone.encoder_depth': 3,
        'train_dataloader.drop_last': False,
    },
    # Not drop_last: 257 tiles of EBHI in batches of 8 would leave a batch of one, which no batch norm takes.
    'tiny': {
        **both,
        'model.network.backbone.out_indices': (2, ),
    },
}
released = 'no'

# Only a name for this file.
del both
