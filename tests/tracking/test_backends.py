"""The backends of the visualizer: where a value stands, alone with a Runner of mmengine too."""

import sys
import time
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_run import CONFIG
from torch.utils.data import Dataset
from tracked_run import OFFLINE, environment
from wandb_files import offline_runs

from arml.ablation.process import GRACE
from arml.config import load_config
from arml.errors import ConfigError
from arml.pipeline.run import build_stages, make_plan
from arml.pipeline.store import Store
from arml.pipeline.tracked import track_under_agent
from arml.tracking import RunInfo, follow
from arml.tracking.backends import moment
from arml.tracking.session import wanted
from arml.tracking.wandb_tracker import HURRY, WandbTracker, init_arguments


class Numbers(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return {'data': torch.full((2,), float(index))}


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(2, 1)

    def forward(self, data, mode='tensor'):
        found = self.line(torch.stack(data))
        return {'loss': found.square().mean()} if mode == 'loss' else [found]


class Count(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(len(data_batch['data']))

    def compute_metrics(self, results):
        return {'count': float(sum(results))}


def runner(folder, name):
    loader = {'batch_size': 2, 'num_workers': 0, 'dataset': Numbers()}
    return Runner(
        model=Line(), work_dir=str(folder), experiment_name=name,
        train_dataloader={**loader, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
        val_dataloader={**loader, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
        train_cfg={'by_epoch': True, 'max_epochs': 2}, val_cfg={}, val_evaluator=[Count()],
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.01}},
        default_hooks={'logger': {'type': 'LoggerHook', 'interval': 1}, 'checkpoint': None},
        visualizer={
            'type': 'Visualizer', 'name': name,
            'vis_backends': [{'type': 'arml.WandbVisBackend'}, {'type': 'arml.TensorboardVisBackend'}],
        },
        cfg=Config({'experiment_name': name}),
    )  # fmt: skip


def test_backends__a_runner_by_itself_has_a_run_of_its_own(tmp_path):
    with environment(**OFFLINE):
        for name in ('one', 'two'):
            made = runner(tmp_path / name, f'alone-{name}')
            made.train()
    for name in ('one', 'two'):
        (found,) = offline_runs(tmp_path / name)
        assert (found.name, found.exit) == (f'alone-{name}', 0)
        assert [step for step, _ in found.curve('train/loss', 'iter')] == [1, 2, 3, 4, 5, 6]
        assert found.curve('val/count', 'iter') == [(3, 6.0), (6, 6.0)]
        assert [artifact.type for artifact in found.artifacts] == ['config']
        (place,) = {file.parent for file in (tmp_path / name).rglob('events.out.tfevents.*')}
        events = EventAccumulator(str(place)).Reload()
        assert [event.step for event in events.Scalars('train/loss')] == [1, 2, 3, 4, 5, 6]
        assert [event.step for event in events.Scalars('val/count')] == [3, 6]


def test_moment__of_training_validation_and_a_test():
    hub = MessageHub('moments')
    assert moment(hub, 7) == ('train', 7, None)
    hub.update_info_dict({'loop_stage': 'train', 'iter': 4, 'epoch': 1})
    assert moment(hub, 5) == ('train', 5, 2)
    hub.update_info('loop_stage', 'val')
    assert moment(hub, 2) == ('val', 5, 2)  # mmengine counts epochs here


@pytest.mark.parametrize(
    ('value', 'types'),
    [
        ('none', []),
        ('wandb', ['arml.WandbVisBackend']),
        ('tensorboard', ['arml.TensorboardVisBackend']),
    ],
)
def test_choice__turns_a_tracker_on(value, types):
    config = load_config(CONFIG, {'tracking': value})
    assert list(wanted(config.visualizer.vis_backends)) == types
    assert config.visualizer.vis_backends[0].type == 'LocalVisBackend'
    assert 'tracking' not in config


def test_choice__is_in_no_key(fake_tissue, tmp_path):
    """A tracked run finds the products of one that was not."""
    keys = []
    for value in ('none', 'wandb', 'tensorboard'):
        given = {'data_root': str(fake_tissue), 'store': str(tmp_path / 'store'), 'tracking': value}
        config = load_config(CONFIG, given, for_run=True)
        keys.append([item.key for item in make_plan(build_stages(config), Store(config.store))])
    assert len(keys[0]) == 7
    assert keys[0] == keys[1] == keys[2]


def test_track_under_agent__unless_tracking_is_set():
    asked = {}
    with environment(WANDB_SWEEP_ID='s'):
        for value in (None, 'none', 'wandb'):
            overrides = {} if value is None else {'tracking': value}
            config = load_config(CONFIG, overrides)
            track_under_agent(config, overrides)
            asked[value] = [backend['type'] for backend in config.visualizer.vis_backends]
    assert asked == {
        None: ['LocalVisBackend', 'arml.WandbVisBackend'], 'none': ['LocalVisBackend'],
        'wandb': ['LocalVisBackend', 'arml.WandbVisBackend'],
    }  # fmt: skip
    with environment():
        config = load_config(CONFIG)
        track_under_agent(config, {})
        assert len(config.visualizer.vis_backends) == 1


def info(tmp_path):
    return RunInfo(tmp_path, 'run1', 'name')


def test_init_arguments__of_a_run_alone(tmp_path):
    found = init_arguments(info(tmp_path), {}, {}, {})
    assert found.pop('id').startswith('run1-')
    assert found == {'project': 'arml', 'name': 'name', 'dir': str(tmp_path), 'resume': 'allow'}


def test_init_arguments__id_of_the_work_dir_of_the_environment_of_the_config(tmp_path):
    known, variable = {'id': 'kept'}, {'WANDB_RUN_ID': 'given'}
    assert init_arguments(info(tmp_path), {}, known, {})['id'] == 'kept'
    assert init_arguments(info(tmp_path), {}, known, variable)['id'] == 'given'
    assert init_arguments(info(tmp_path), {'id': 'set'}, known, variable)['id'] == 'set'


def test_init_arguments__what_a_variable_says_is_left_to_it(tmp_path):
    variables = {
        'WANDB_PROJECT': 'p', 'WANDB_NAME': 'n', 'WANDB_DIR': 'd', 'WANDB_RUN_GROUP': 'g', 'WANDB_TAGS': 't',
    }  # fmt: skip
    found = init_arguments(info(tmp_path), {'entity': 'me'}, {'id': 'kept'}, variables)
    assert found == {'id': 'kept', 'resume': 'allow', 'entity': 'me'}


def test_init_arguments__within_a_sweep_the_agent_names_the_run(tmp_path):
    variables = {'WANDB_SWEEP_ID': 's', 'WANDB_RUN_ID': 'r'}
    found = init_arguments(info(tmp_path), {'id': 'x', 'resume': 'must'}, {'id': 'kept'}, variables)
    assert found == {'project': 'arml', 'name': 'name', 'dir': str(tmp_path), 'group': 's'}


def test_wandb_tracker__a_full_disk_is_said_at_the_end(tmp_path, monkeypatch):
    said = []
    with environment(**OFFLINE):
        with follow([{'type': 'arml.WandbVisBackend'}], info(tmp_path), said.append):
            monkeypatch.setattr('shutil.disk_usage', lambda _: SimpleNamespace(free=0))
    (warning,) = said
    assert 'finish: ArmlError: the disk of' in warning
    assert 'its record of this run may lack the end' in warning


def test_wandb_tracker__ended_by_a_signal_has_little_time_and_leaves_nothing_to_wait_for(
    tmp_path, monkeypatch
):
    """Whoever sent it kills what is there after ten seconds."""
    assert HURRY + 1 < GRACE
    monkeypatch.setattr('arml.tracking.wandb_tracker.HURRY', 0.2)
    torn = []
    with environment(**OFFLINE):
        tracker = WandbTracker(info(tmp_path))
        finish = tracker.run.finish
        tracker.run.finish = lambda status: time.sleep(60)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr('wandb.teardown', torn.append)
            for status, patience in ((143, None), (1, 0.2)):
                with pytest.raises(TimeoutError, match=r'no answer in 0\.2 s'):
                    tracker.close(status, patience)
        finish()
    assert torn == [143, 1]


def test_wandb_tracker__raises(tmp_path, monkeypatch):
    with pytest.raises(
        ConfigError, match=r"artifacts: found 'all', expected one of reference, upload"
    ):
        WandbTracker(info(tmp_path), artifacts='all')
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(ImportError, match='pip install wandb'):
        WandbTracker(info(tmp_path))
