# The upper bound of the tiny configs: dense masks, the start of arml_tiny.py.
pipeline = [
    dict(name='classifier', type='arml.TrainStage', section='classifier'),
    dict(
        name='segmentor',
        type='arml.TrainStage',
        bind={'model.network.backbone.init_cfg.checkpoint': 'classifier/checkpoint'}),
    dict(
        name='test',
        type='arml.TestStage',
        inputs=dict(checkpoint='segmentor/checkpoint'),
        row='full supervision'),
]
