# Stage 1 alone.
pipeline = [
    dict(name='classifier', type='arml.TrainStage', section='classifier'),
    dict(
        name='cam_test',
        type='arml.TestStage',
        section='classifier',
        inputs=dict(checkpoint='classifier/checkpoint'),
        row='raw CAM'),
]
