# As mlps.py, for the layers of the tiny backbone: the segmentor's starts from the classifier's, which is the same network
# (model.network.backbone.init_cfg=None: from scratch). The floors stand in weak_supervision_tiny.py.
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
            'train_dataloader.dataset.pipeline.2.folders.middle': 'pseudo_masks/net.layer3.0',
            'train_dataloader.dataset.pipeline.2.folders.shallow': 'pseudo_masks/net.layer2',
            'model.gate.checkpoint': 'classifier/checkpoint',
            'model.network.backbone.init_cfg.checkpoint': 'classifier/checkpoint',
        }),
    dict(
        name='mask_scores',
        type='arml.MaskScoreStage',
        inputs=dict(
            final='pseudo_masks/final',
            middle='pseudo_masks/net.layer3.0',
            shallow='pseudo_masks/net.layer2'),
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
