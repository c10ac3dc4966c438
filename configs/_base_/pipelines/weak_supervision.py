# Image-level labels -> classifier -> pseudo masks -> segmentor -> one test.
pipeline = [
    dict(name='classifier', type='arml.TrainStage', section='classifier'),
    dict(
        name='pseudo_masks',
        type='arml.MaskStage',
        section='classifier',
        inputs=dict(checkpoint='classifier/checkpoint')),
    dict(
        name='segmentor',
        type='arml.TrainStage',
        bind={'train_dataloader.dataset.masks': 'pseudo_masks/final'}),
    dict(
        name='mask_scores',
        type='arml.MaskScoreStage',
        inputs=dict(final='pseudo_masks/final'),
        row='pseudo masks'),
    dict(
        name='cam_test',
        type='arml.TestStage',
        section='classifier',
        inputs=dict(checkpoint='classifier/checkpoint'),
        row='raw CAM'),
    dict(
        name='test',
        type='arml.TestStage',
        inputs=dict(checkpoint='segmentor/checkpoint'),
        row='{title}'),
]
