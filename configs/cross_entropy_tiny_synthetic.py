# The baseline of stage 2: one network of the same template, cross entropy on the same pseudo masks.
_base_ = ['./arml_tiny_synthetic.py']

model = dict(num_networks=1, swv=dict(enabled=False), srm=dict(enabled=False), lambda_=0.0)
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
        bind={'train_dataloader.dataset.masks': 'pseudo_masks/final'}),
    dict(
        name='test',
        type='arml.TestStage',
        inputs=dict(checkpoint='segmentor/checkpoint'),
        row='cross entropy, same masks'),
]
