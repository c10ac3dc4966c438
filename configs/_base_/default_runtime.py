# What all configs share. Everything is a leaf: override with --cfg-options a.b.c=value.
_base_ = ['./choices/tracking.py']

custom_imports = dict(imports=['arml'], allow_failed_imports=False)
default_scope = 'mmseg'

# Finished products of all runs, kept by key; override with store=... or the environment.
store = '{{$ARML_STORE:work_dirs/store}}'
# One seed drives all stages.
randomness = dict(seed=0)

# Of all workers of a sweep, in seconds: between two signs of life of a running cell; without one until a cell of
# another machine is taken for lost. In no key; tools/sweep.py run --heartbeat --grace win.
sweep = dict(heartbeat=60, grace=180)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
log_level = 'INFO'
log_processor = dict(type='arml.BriefLogProcessor', by_epoch=True, window_size=20)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer')

default_hooks = dict(
    # losses stay on the GPU until they are logged
    runtime_info=dict(type='arml.RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=True),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='arml.StageCheckpointHook', interval=1, save_best='mIoU', rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # refuses a training in which a parameter does not train; exceptions: patterns of names
    parameter_check=dict(type='arml.ParameterCheckHook', iterations=50, exceptions=[]))
custom_hooks = [dict(type='arml.EpochSeedHook'), dict(type='arml.HistoryHook')]
