# supervision=labels or supervision=masks: the upper bound, where the training tiles have dense masks (synthetic, EBHI).
# The start is the same: a classifier that has seen labels only; or nothing, masks_from_scratch. It has twice the
# epochs, until it stands.
supervision_choices = {
    'labels': {},
    'masks': {
        'title': '{title}, full supervision',
        'train_dataloader.dataset.masks': 'dense',
        'train_cfg.max_epochs': 32,
        'pipeline': [
            dict(name='classifier', type='arml.TrainStage', section='classifier'),
            dict(
                name='segmentor',
                type='arml.TrainStage',
                bind={'model.network.backbone.init_cfg.checkpoint': 'classifier/checkpoint'}),
            dict(
                name='test',
                type='arml.TestStage',
                inputs=dict(checkpoint='segmentor/checkpoint'),
                row='{title}'),
        ],
    },
    'masks_from_scratch': {
        'title': '{title}, full supervision',
        'train_dataloader.dataset.masks': 'dense',
        'train_cfg.max_epochs': 32,
        'pipeline': [
            dict(name='segmentor', type='arml.TrainStage'),
            dict(
                name='test',
                type='arml.TestStage',
                inputs=dict(checkpoint='segmentor/checkpoint'),
                row='{title}'),
        ],
    },
}
supervision = 'labels'
