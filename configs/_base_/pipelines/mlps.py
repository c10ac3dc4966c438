# Image-level labels -> classifier -> pseudo masks of three layers -> segmentor on all of them -> one test. The
# further masks go to the third step of the training pipeline, arml.LoadFurtherMasks.
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
            'train_dataloader.dataset.pipeline.2.folders.middle': 'pseudo_masks/b5_2',
            'train_dataloader.dataset.pipeline.2.folders.shallow': 'pseudo_masks/b4_5',
            'model.gate.checkpoint': 'classifier/checkpoint',
        }),
    dict(
        name='mask_scores',
        type='arml.MaskScoreStage',
        inputs=dict(
            final='pseudo_masks/final', middle='pseudo_masks/b5_2', shallow='pseudo_masks/b4_5'),
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
