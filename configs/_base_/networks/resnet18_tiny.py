# Half the width of ResNet-18, up to its third layer, output stride 8, for two CPU cores: the classifier's
# backbone. The pipeline sets its start to the trained classifier; init_cfg=None trains it from scratch.
network = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='arml.TimmBackbone',
        model_name='resnet18',
        output_stride=8,
        out_indices=(1, 2, 3),
        pretrained=False,
        model_args=dict(channels=(32, 64, 128, 256)),
        init_cfg=dict(type='Pretrained', checkpoint=None, prefix='backbone')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
