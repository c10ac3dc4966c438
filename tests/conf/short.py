# Both trainings and a test, without what else a run shows, for tests that run it often.
_base_ = ['./pipeline.py']

pipeline = [
    dict(name='classifier', type='arml.TrainStage', section='classifier'),
    dict(
        name='pseudo_masks',
        type='arml.MaskStage',
        section='classifier',
        examples=1,
        inputs=dict(checkpoint='classifier/checkpoint'),
    ),
    dict(
        name='segmentor',
        type='arml.TrainStage',
        bind={
            'train_dataloader.dataset.masks': 'pseudo_masks/final',
            'model.network.backbone.init_cfg.checkpoint': 'classifier/checkpoint',
        },
    ),
    dict(
        name='test',
        type='arml.TestStage',
        examples=1,
        inputs=dict(checkpoint='segmentor/checkpoint'),
        row='ARML',
    ),
]
