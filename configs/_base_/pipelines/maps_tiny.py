# Stage 1 and its masks, with the scores of both and the floors that they are read against.
pipeline = [
    dict(name='classifier', type='arml.TrainStage', section='classifier'),
    dict(
        name='pseudo_masks',
        type='arml.MaskStage',
        section='classifier',
        inputs=dict(checkpoint='classifier/checkpoint')),
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
]
