# The upper bound: the segmentor trained on dense masks of the training tiles.
pipeline = [
    dict(name='segmentor', type='arml.TrainStage'),
    dict(
        name='test',
        type='arml.TestStage',
        inputs=dict(checkpoint='segmentor/checkpoint'),
        row='full supervision'),
]
