# schedule=common or schedule=published: stage 2 of MLPS at full size.
#
# common     That of every method here: lr 5e-3 and 10 epochs (../schedules/segmentor_10e.py), as in Table 1.
# published  Of the released code: lr 0.01, ten times that in the head, 20 epochs as in its example; its script takes 30:
#            train_cfg.max_epochs=30.
schedule_choices = {
    'common': {},
    'published': {
        'optim_wrapper': dict(
            _delete_=True,
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
            paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.0)))),
        'train_cfg.max_epochs': 20,
    },
}
schedule = 'common'
