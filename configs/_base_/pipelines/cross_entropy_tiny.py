# The baseline of stage 2 for the tiny configs: the masks and the start of arml_tiny.py.
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
        name='test',
        type='arml.TestStage',
        inputs=dict(checkpoint='segmentor/checkpoint'),
        row='cross entropy, same masks'),
]
