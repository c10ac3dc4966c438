"""The runtime-info hook that reads losses when they are needed: same hub, same logs, same checkpoints."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook, RuntimeInfoHook
from mmengine.model import BaseModel

from arml.engine import StageRunner
from arml.engine import checkpoint as checkpoints
from arml.engine.hooks import RuntimeInfoHook as DeferredHook

ITERATIONS, EPOCHS, INTERVAL = 7, 3, 3
KEYS = ('loss', 'loss_one', 'share', 'count', 'wide')


class Toy(BaseModel):
    """A model with diagnostics of several types; one of them comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.3, -0.7]))
        self.register_buffer('steps', torch.tensor(0))

    def forward(self, inputs, data_samples=None, mode='loss'):
        product = torch.stack(inputs) @ self.weight
        return {'loss_one': product.square().mean(), 'share': (product > 0).float().mean()}

    def parse_losses(self, losses):
        self.steps += 1
        loss, values = super().parse_losses(losses)
        values['count'] = self.steps.clone()[None]
        values['wide'] = loss.detach().double() / 3
        values['plain'] = int(self.steps) / 7
        if self.steps % 2 == 0:
            values['even'] = loss.detach().bfloat16()
        return loss, values


class Data(torch.utils.data.Dataset):
    def __len__(self):
        return ITERATIONS

    def __getitem__(self, index):
        return {'inputs': torch.tensor([index + 1.0, 2.0 - index])}


class Spy(Hook):
    """Notes, after the logger, how much of the losses the hub holds."""

    priority = 'LOW'

    def __init__(self):
        self.lengths = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.lengths.append(len(runner.message_hub.get_scalar('train/loss').data[0]))


LOGGER = dict(type='LoggerHook', interval=INTERVAL)


def train(folder, kind, resume=False, epochs=EPOCHS, logger=LOGGER):
    """Train the toy; return the Runner and its spy."""
    spy = Spy()
    runner = StageRunner(
        model=Toy(),
        work_dir=str(folder),
        train_dataloader=dict(
            batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False), dataset=Data(),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.01, momentum=0.9), clip_grad=dict(max_norm=1.0)
        ),
        param_scheduler=[],
        default_hooks=dict(
            runtime_info=dict(type=kind),
            logger=logger,
            checkpoint=dict(type='arml.StageCheckpointHook'),
        ),
        custom_hooks=[spy],
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        randomness=dict(seed=0),
        experiment_name=f'{folder.name}-{epochs}',
        default_scope='mmengine',
        resume=resume,
        log_level='ERROR',
    )  # fmt: skip
    runner.train()
    return runner, spy


def scalars(runner):
    """Histories of the hub but for measured times, in its order."""
    return [
        (key, buffer.data[0].tolist(), buffer.data[1].tolist())
        for key, buffer in runner.message_hub.log_scalars.items()
        if 'time' not in key
    ]


def logged(folder):
    """Lines that the logger wrote, without times and memory."""
    lines = [json.loads(x) for path in folder.rglob('scalars.json') for x in path.open()]
    return [[(k, v) for k, v in x.items() if 'time' not in k and k != 'memory'] for x in lines]


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    """A training with mmengine's own hook."""
    folder = tmp_path_factory.mktemp('plain')
    return folder, train(folder, 'RuntimeInfoHook')


@pytest.fixture(scope='module')
def deferred(tmp_path_factory):
    """The same with ours."""
    folder = tmp_path_factory.mktemp('deferred')
    return folder, train(folder, 'arml.RuntimeInfoHook')


def test_runtime_info__is_chosen_by_the_config(deferred, plain):
    for (_, (runner, _)), kind in ((deferred, DeferredHook), (plain, RuntimeInfoHook)):
        (hook,) = [hook for hook in runner.hooks if isinstance(hook, RuntimeInfoHook)]
        assert type(hook) is kind
        assert runner.hooks[0] is hook


def test_runtime_info__hub_holds_the_same(deferred, plain):
    expected = scalars(plain[1][0])
    assert {f'train/{key}' for key in (*KEYS, 'plain', 'even', 'grad_norm', 'lr')} == {
        key for key, *_ in expected
    }
    assert scalars(deferred[1][0]) == expected
    for key, buffer in plain[1][0].message_hub.log_scalars.items():
        assert deferred[1][0].message_hub.get_scalar(key).data[0].dtype == buffer.data[0].dtype


def test_runtime_info__logs_are_the_same(deferred, plain):
    expected = logged(plain[0])
    assert len(expected) == EPOCHS * (ITERATIONS // INTERVAL)
    assert logged(deferred[0]) == expected


def test_runtime_info__checkpoints_hold_the_whole_history(deferred, plain):
    for folder, _ in (deferred, plain):
        kept = checkpoints.load(folder / f'epoch_{EPOCHS}.pth')['scalars']
        assert kept['train/loss']['history'].shape == (EPOCHS * ITERATIONS,)
    one, other = (
        checkpoints.load(folder / f'epoch_{EPOCHS}.pth')['scalars']
        for folder, _ in (deferred, plain)
    )
    assert list(one) == list(other)
    for key in one:
        if 'time' not in key:
            assert torch.equal(one[key]['history'], other[key]['history'])


def test_runtime_info__reads_at_the_interval_and_the_end_of_the_epoch(deferred, plain):
    assert plain[1][1].lengths == list(range(1, EPOCHS * ITERATIONS + 1))
    # Of the first two iterations each brings a new name, whose place in the log is its first.
    expected = [1, 2, 3, 3, 3, 6, 7, *(7, 7, 10, 10, 10, 13, 14), *(14, 14, 17, 17, 17, 20, 21)]
    assert deferred[1][1].lengths == expected


def test_runtime_info__without_a_logger_reads_once_an_epoch(tmp_path, plain):
    runner, spy = train(tmp_path, 'arml.RuntimeInfoHook', logger=None)
    assert spy.lengths == [1, *[2] * 5, *[7] * 7, *[14] * 7, 21]
    assert scalars(runner) == scalars(plain[1][0])


def test_runtime_info__keeps_no_graph():
    hook, value = DeferredHook(), torch.ones((), requires_grad=True) * 2
    hub = SimpleNamespace(log_scalars={'train/loss': None})
    runner = SimpleNamespace(message_hub=hub, train_dataloader=range(9), hooks=[])
    hook.after_train_iter(runner, 0, outputs={'loss': value})
    ((_, kept),) = hook._kept
    assert kept == 2
    assert not kept.requires_grad


def test_runtime_info__resumed_training_goes_on_with_the_history(tmp_path, deferred):
    train(tmp_path, 'arml.RuntimeInfoHook', epochs=1)
    runner, _ = train(tmp_path, 'arml.RuntimeInfoHook', resume=True)
    assert runner.message_hub.log_scalars.keys() == deferred[1][0].message_hub.log_scalars.keys()
    assert scalars(runner) == scalars(deferred[1][0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_runtime_info__gpu_is_not_waited_for_between_readings():
    hook = DeferredHook()
    hub = SimpleNamespace(log_scalars={'train/loss': None})
    runner = SimpleNamespace(message_hub=hub, train_dataloader=range(9), hooks=[])
    value = torch.ones((), device='cuda')
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        hook.after_train_iter(runner, 0, outputs={'loss': value})
    finally:
        torch.cuda.set_sync_debug_mode('default')
