# As weak_supervision.py, with the floors that the scores are read against. As there are no ImageNet weights to start
# from, the segmentor's backbones start from the classifier's, which is the same network
# (model.network.backbone.init_cfg=None: from scratch).
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
        inputs=dict(final='pseudo_masks/final'),
        row='pseudo masks'),
    dict(name='floors', type='arml.FloorStage'),
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
