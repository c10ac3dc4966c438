# tracking=none, wandb or tensorboard: who follows a run beside the files in its work dir. No part of any key.
# W&B takes WANDB_MODE, WANDB_PROJECT, WANDB_ENTITY, WANDB_RUN_GROUP, WANDB_NAME, WANDB_TAGS, WANDB_DIR as always.
tracking_choices = dict(
    none={},
    wandb={
        'visualizer.vis_backends': [
            dict(type='LocalVisBackend'),
            # artifacts: 'reference' keeps path and checksum of checkpoints and masks, 'upload' the files, 'none'
            dict(type='arml.WandbVisBackend', init_kwargs={}, artifacts='reference'),
        ],
    },
    tensorboard={
        'visualizer.vis_backends': [
            dict(type='LocalVisBackend'),
            dict(type='arml.TensorboardVisBackend'),
        ],
    })
tracking = 'none'
