# deviation=NAME: those of stage 1 and those of stage 2. docs/paper_vs_released.md explains each. The size of a loss is
# left out: AdamW is blind to it.
_base_ = ['./deviations_tiny_maps.py']

deviation_choices = {
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
}
