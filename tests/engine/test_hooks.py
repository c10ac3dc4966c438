"""Hooks: checkpoints, history, seeds."""

import json
import logging
import os
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from arml.engine import EpochSeedHook, HistoryHook, StageCheckpointHook
from arml.engine import checkpoint as checkpoints
from arml.engine.hooks.history import read_history
from arml.engine.hooks.seeding import epoch_seed
from arml.errors import ArmlError, ConfigError


class Runner:
    """What the hooks see of a Runner."""

    _resume = False

    def __init__(self, folder, max_epochs=6, val_interval=1, val_begin=1, validates=True) -> None:
        self.work_dir = str(folder)
        self.logger = logging.getLogger('test_hooks')
        self.max_epochs = max_epochs
        self.train_loop = SimpleNamespace(
            _epoch=0, val_begin=val_begin, val_interval=val_interval, max_epochs=max_epochs
        )
        self.val_loop = object() if validates else None
        self.iter = 0
        self.seed = 3
        self.optim_wrapper = SimpleNamespace(get_lr=lambda: {'lr': [0.1]})
        self.train_dataloader = SimpleNamespace(dataset=object())
        self.model = torch.nn.Module()

    @property
    def epoch(self) -> int:
        return self.train_loop._epoch

    def training_state(self, meta):
        return {**self.model_state(meta), 'optimizer': {}}

    def model_state(self, meta):
        return {
            'meta': {**meta, 'epoch': self.epoch},
            'state_dict': {'w': torch.ones(1) * self.epoch},
        }


def train(hook, runner, scores: list[float | None]) -> list[list[str]]:
    """Run epochs as mmengine's loop does; return what lies in the folder after each."""
    seen = []
    for score in scores:
        hook.after_train_epoch(runner)
        runner.train_loop._epoch += 1
        if score is not None:
            hook.after_val_epoch(runner, {'mIoU': score, 'loss': -score})
        seen.append(sorted(os.listdir(runner.work_dir)))
    return seen


def test_checkpoint_hook__keeps_the_last_and_the_best(tmp_path):
    runner = Runner(tmp_path)
    seen = train(StageCheckpointHook(save_best='mIoU'), runner, [10.0, 30.0, 20.0, 30.0])
    assert seen == [
        ['best_epoch_1.pth', 'epoch_1.pth', 'last_checkpoint'],
        ['best_epoch_2.pth', 'epoch_2.pth', 'last_checkpoint'],
        ['best_epoch_2.pth', 'epoch_3.pth', 'last_checkpoint'],
        ['best_epoch_2.pth', 'epoch_4.pth', 'last_checkpoint'],  # the first of two equal ones
    ]
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_4.pth')
    meta = checkpoints.load(tmp_path / 'epoch_4.pth')['meta']
    assert meta['best'] == {'score': 30.0, 'epoch': 2, 'metric': 'mIoU'}
    assert checkpoints.load(tmp_path / 'best_epoch_2.pth')['state_dict']['w'] == 2


def test_checkpoint_hook__less_is_better(tmp_path):
    hook = StageCheckpointHook(save_best='loss', rule='less')
    train(hook, Runner(tmp_path), [10.0, 30.0, 20.0])
    assert (hook.best_epoch, hook.best_score) == (2, -30.0)


def test_checkpoint_hook__not_finite_is_never_the_best(tmp_path, caplog):
    hook = StageCheckpointHook(save_best='mIoU')
    with caplog.at_level(logging.WARNING):
        train(hook, Runner(tmp_path), [float('nan'), 5.0, float('inf'), float('nan')])
    assert (hook.best_epoch, hook.best_score) == (2, 5.0)
    assert 'mIoU is nan; not considered' in caplog.text
    assert (tmp_path / 'epoch_4.pth').is_file()


def test_checkpoint_hook__without_a_choice(tmp_path):
    seen = train(StageCheckpointHook(), Runner(tmp_path), [10.0, 30.0])
    assert seen[-1] == ['epoch_2.pth', 'last_checkpoint']
    assert checkpoints.load(tmp_path / 'epoch_2.pth')['meta']['best'] is None


def test_checkpoint_hook__saves_after_the_validation_not_before(tmp_path):
    hook, runner = StageCheckpointHook(save_best='mIoU'), Runner(tmp_path)
    hook.after_train_epoch(runner)
    assert os.listdir(tmp_path) == []


def test_checkpoint_hook__epochs_without_validation_are_saved_too(tmp_path):
    hook, runner = StageCheckpointHook(save_best='mIoU'), Runner(tmp_path, 5, val_interval=2)
    seen = train(hook, runner, [None, 3.0, None, 2.0, 1.0])
    assert [names[-2] for names in seen] == [f'epoch_{n}.pth' for n in (1, 2, 3, 4, 5)]
    assert checkpoints.load(tmp_path / 'epoch_5.pth')['meta']['epoch'] == 5
    assert hook.best_epoch == 2


def test_checkpoint_hook__describes_the_finished_epoch_and_leaves_the_loop_alone(tmp_path):
    hook, runner = StageCheckpointHook(), Runner(tmp_path, validates=False)
    hook.after_train_epoch(runner)
    assert checkpoints.load(tmp_path / 'epoch_1.pth')['meta']['epoch'] == 1
    assert runner.epoch == 0


def test_checkpoint_hook__interval_and_the_last_epoch(tmp_path):
    seen = train(StageCheckpointHook(interval=2), Runner(tmp_path, 5), [1.0] * 5)
    epochs = [next((n for n in names if n.startswith('epoch_')), None) for names in seen]
    assert epochs == [None, 'epoch_2.pth', 'epoch_2.pth', 'epoch_4.pth', 'epoch_5.pth']


def test_checkpoint_hook__best_of_an_unsaved_epoch_survives_until_the_next_save(tmp_path):
    # Best at 1 and 3, saved at 2 and 4. A kill after 3 resumes from 2, whose best is 1.
    hook = StageCheckpointHook(interval=2, save_best='mIoU')
    seen = train(hook, Runner(tmp_path, 8), [1.0, 0.5, 2.0])
    assert seen[-1] == ['best_epoch_1.pth', 'best_epoch_3.pth', 'epoch_2.pth', 'last_checkpoint']


@pytest.mark.parametrize('fails_at', ['epoch_2.pth', 'last_checkpoint'])
def test_checkpoint_hook__a_full_disk_leaves_the_old_state_to_resume_from(
    tmp_path, monkeypatch, fails_at
):
    hook, runner = StageCheckpointHook(save_best='mIoU'), Runner(tmp_path)
    train(hook, runner, [10.0])
    real = os.replace

    def full(source, target):
        if str(target).endswith(fails_at) and 'best' not in str(target):
            raise OSError(28, 'No space left on device')
        real(source, target)

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(ArmlError, match='the disk is full'):
        train(hook, runner, [20.0])
    monkeypatch.undo()
    last = (tmp_path / 'last_checkpoint').read_text()
    assert last == str(tmp_path / 'epoch_1.pth')
    assert checkpoints.load(last)['meta']['best']['epoch'] == 1
    assert (tmp_path / 'best_epoch_1.pth').is_file()


def test_checkpoint_hook__takes_over_the_best_on_resume(tmp_path):
    train(StageCheckpointHook(save_best='mIoU'), Runner(tmp_path), [10.0, 30.0])
    hook = StageCheckpointHook(save_best='mIoU')
    runner = Runner(tmp_path)
    runner._resume = True
    hook.after_load_checkpoint(runner, checkpoints.load(tmp_path / 'epoch_2.pth'))
    runner.train_loop._epoch = 2
    train(hook, runner, [20.0])
    assert hook.best_epoch == 2
    assert (tmp_path / 'best_epoch_2.pth').is_file()


def test_checkpoint_hook__load_from_does_not_take_over_the_best_of_another_training(tmp_path):
    train(StageCheckpointHook(save_best='mIoU'), Runner(tmp_path), [10.0, 90.0])
    hook, runner = StageCheckpointHook(save_best='mIoU'), Runner(tmp_path)
    hook.after_load_checkpoint(runner, checkpoints.load(tmp_path / 'epoch_2.pth'))
    train(hook, runner, [20.0])
    assert (hook.best_epoch, hook.best_score) == (1, 20.0)
    assert (tmp_path / 'best_epoch_1.pth').is_file()


def test_checkpoint_hook__metric_that_is_not_reported(tmp_path):
    with pytest.raises(ConfigError, match="reports no 'mIOU'. It reports: loss, mIoU"):
        train(StageCheckpointHook(save_best='mIOU'), Runner(tmp_path), [1.0])


def test_checkpoint_hook__refuses():
    with pytest.raises(ConfigError, match='interval: found 0'):
        StageCheckpointHook(interval=0)
    with pytest.raises(ConfigError, match="rule: found 'more'"):
        StageCheckpointHook(rule='more')


def epoch(hook, runner, losses) -> None:
    hook.before_train_epoch(runner)
    for loss in losses:
        hook.after_train_iter(runner, 0, None, {'loss': torch.tensor(loss), 'log_vars': 'text'})
        runner.iter += 1
    hook.after_train_epoch(runner)
    runner.train_loop._epoch += 1


def test_history__rows(tmp_path):
    hook, runner = HistoryHook(), Runner(tmp_path)
    hook.before_train(runner)
    epoch(hook, runner, [1.0, 2.0])
    hook.after_val_epoch(runner, {'mIoU': np.float64(3.5), 'n': 2, 'name': 'x'})
    epoch(hook, runner, [4.0])
    assert read_history(tmp_path / 'history.jsonl') == [
        {'epoch': 1, 'iter': 2, 'kind': 'train', 'lr': 0.1, 'loss': 1.5},
        {'epoch': 1, 'iter': 2, 'kind': 'val', 'mIoU': 3.5, 'n': 2.0},
        {'epoch': 2, 'iter': 3, 'kind': 'train', 'lr': 0.1, 'loss': 4.0},
    ]


def test_history__rates_of_several_optimisers(tmp_path):
    hook, runner = HistoryHook(), Runner(tmp_path)
    rates = {'a.lr': [0.1, 0.2], 'b.lr': [0.3], 'a.momentum': [0.9]}
    runner.optim_wrapper = SimpleNamespace(get_lr=lambda: rates)
    hook.before_train(runner)
    epoch(hook, runner, [1.0])
    (row,) = read_history(tmp_path / 'history.jsonl')
    assert row == {'epoch': 1, 'iter': 1, 'kind': 'train', 'a.lr': 0.1, 'b.lr': 0.3, 'loss': 1.0}


def test_history__resume_drops_rows_that_are_run_again(tmp_path):
    hook, runner = HistoryHook(), Runner(tmp_path)
    hook.before_train(runner)
    for loss in (1.0, 2.0, 3.0):
        epoch(hook, runner, [loss])
    runner.train_loop._epoch = 2
    HistoryHook().before_train(runner)
    assert [row['epoch'] for row in read_history(tmp_path / 'history.jsonl')] == [1, 2]
    runner.train_loop._epoch = 0
    HistoryHook().before_train(runner)
    assert read_history(tmp_path / 'history.jsonl') == []


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_history__loss_that_is_not_finite_ends_the_training_by_name(tmp_path, bad):
    hook, runner = HistoryHook(), Runner(tmp_path)
    hook.before_train(runner)
    epoch(hook, runner, [1.0])
    with pytest.raises(
        ArmlError, match=r'training: loss is not finite in epoch 2.*and run again: with another'
    ):
        epoch(hook, runner, [1.0, bad, 1.0])
    assert len(read_history(tmp_path / 'history.jsonl')) == 1


def test_history__comes_before_the_checkpoint():
    assert HistoryHook().get_triggered_stages  # a hook of mmengine
    order = {'VERY_HIGH': 10, 'LOW': 70, 'VERY_LOW': 90}
    assert order[EpochSeedHook.priority] < order[HistoryHook.priority]
    assert order[HistoryHook.priority] < order[StageCheckpointHook.priority]


def test_history__a_metric_that_is_not_finite_is_still_one_line_of_json(tmp_path):
    hook, runner = HistoryHook(), Runner(tmp_path)
    hook.after_val_epoch(runner, {'mIoU': float('nan')})
    (line,) = (tmp_path / 'history.jsonl').read_text().splitlines()
    assert set(json.loads(line)) == {'epoch', 'iter', 'kind', 'mIoU'}


def draws(runner) -> tuple:
    hook = EpochSeedHook()
    hook.before_train_epoch(runner)
    torch.rand(3)  # a loader that starts may draw a number
    hook.before_train_iter(runner, 0)
    numbers = random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002
    hook.before_train_iter(runner, 1)
    assert torch.rand(()) != numbers[2]  # seeded once an epoch only
    return numbers


def test_seed__is_a_function_of_seed_and_epoch(tmp_path):
    runner = Runner(tmp_path)
    runner.train_dataloader.dataset = SimpleNamespace(set_epoch=lambda epoch: told.append(epoch))
    told: list[int] = []
    runner.model.set_epoch = lambda epoch: heard.append(epoch)
    heard: list[int] = []
    first = draws(runner)
    assert draws(runner) == first
    runner.train_loop._epoch = 1
    second = draws(runner)
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert told == heard == [0, 0, 1]
    runner.seed = 4
    assert all(a != b for a, b in zip(draws(runner), second, strict=True))


def test_seed__processes_draw_differently():
    seeds = [epoch_seed(s, e, r) for s in range(3) for e in range(3) for r in range(3)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert epoch_seed(1, 11, 0) != epoch_seed(11, 1, 0)
