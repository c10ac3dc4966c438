# As cam.py, for the tiny configs: the segmentor's backbone starts from the classifier's, which is the same network
# (model.network.backbone.init_cfg=None: from scratch). The floors stand in arml_tiny.py.
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
        bind={
            'train_dataloader.dataset.masks': 'pseudo_masks/final',
            'model.network.backbone.init_cfg.checkpoint': 'classifier/checkpoint',
        }),
    dict(
        name='mask_scores',
        type='arml.MaskScoreStage',
        inputs=dict(final='pseudo_masks/final')),
    dict(
        name='cam_test',
        type='arml.TestStage',
        section='classifier',
        inputs=dict(checkpoint='classifier/checkpoint'),
        row='{title}'),
    dict(
        name='test',
        type='arml.TestStage',
        inputs=dict(checkpoint='segmentor/checkpoint'),
        row='{title}, stage 2'),
]
