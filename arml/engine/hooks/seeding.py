"""Randomness as a function of (seed, epoch), so that a resumed run repeats bit for bit."""

import hashlib
import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from arml.registry import HOOKS


def epoch_seed(seed: int, epoch: int, rank: int) -> int:
    """A 32-bit seed for one epoch of one process."""
    digest = hashlib.sha256(f'{seed}/{epoch}/{rank}'.encode()).digest()
    return int.from_bytes(digest[:4], 'little')


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed python, numpy and torch at the start of each epoch; tell data set and model which it is.

    Saved random states would not do: validation and data loading consume random numbers between a
    checkpoint and the next epoch. The data set draws its augmentations from (seed, epoch, index)
    itself, whatever the number of loading processes. Parts of the model that change with the epoch have a
    method ``set_epoch``.
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner) -> None:
        """Hand the epoch to the data set, before its loader begins to read, and to the model."""
        dataset = runner.train_dataloader.dataset
        if hasattr(dataset, 'set_epoch'):
            dataset.set_epoch(runner.epoch)
        for module in runner.model.modules():
            if hasattr(module, 'set_epoch'):
                module.set_epoch(runner.epoch)

    def before_train_iter(self, runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed this process once the loader runs: starting one may draw a number, or may not."""
        if batch_idx == 0:
            seed = epoch_seed(runner.seed, runner.epoch, get_rank())
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 (augmentations of mmcv draw from it)
            torch.manual_seed(seed)
