# The upper bound: one network of the same template, cross entropy on the dense masks of train_mask/.
_base_ = ['./arml_tiny_ebhi.py', ]

model = dict(num_networks=1, swv=dict(enabled=False), srm=dict(enabled=False), lambda_=0.0)
train_dataloader = dict(dataset=dict(masks='dense'))
pipeline = [
    dict(name='segmentor', type='arml.TrainStage'),
    dict(
        name='test',
        type='arml.TestStage',
        inputs=dict(checkpoint='segmentor/checkpoint'),
        row='full supervision'),
]
