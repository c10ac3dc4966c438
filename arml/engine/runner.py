"""mmengine's Runner with safe, strict and exact loading."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from arml.engine import checkpoint as checkpoints
from arml.errors import CheckpointError
from arml.registry import RUNNERS


@RUNNERS.register_module()
class StageRunner(Runner):
    """Trains or tests one stage.

    Differs from mmengine's Runner in three ways: a checkpoint is loaded whole or refused, nothing
    in it is executed, and what is saved holds plain values only, so that it can be read back under
    that rule.
    """

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = 'cpu',
        strict: bool = True,
        revise_keys: list | None = None,
    ) -> dict[str, Any]:
        """Load every tensor of a checkpoint into the model.

        Raises:
            CheckpointError: If the file cannot be read safely or is of another architecture.
        """
        content = checkpoints.load(filename, map_location=map_location)
        self.call_hook('after_load_checkpoint', checkpoint=content)
        checkpoints.load_into(self._bare_model(), content, filename)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return content

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'default',
    ) -> None:
        """Continue exactly where :meth:`training_state` was taken.

        Raises:
            CheckpointError: If the checkpoint holds no training state.
        """
        device = get_device() if map_location == 'default' else map_location
        content = self.load_checkpoint(filename, map_location=device)
        meta = content.get('meta') or {}
        needed = ('optimizer', 'param_schedulers', 'scalars')
        absent = [key for key in needed if key not in content]
        if absent or 'epoch' not in meta:
            raise CheckpointError(
                f'checkpoint {filename}: cannot be resumed from, it holds no {", ".join(absent) or "epoch"}. '
                'It is a finished product; give it as load_from instead, or train without --resume.'
            )
        self.train_loop._epoch = meta['epoch']
        self.train_loop._iter = meta['iter']
        self.message_hub._log_scalars.update(checkpoints.unpack_history(content['scalars']))
        self.message_hub._resumed_keys.update(dict.fromkeys(content['scalars'], True))
        if resume_optimizer:
            self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
            self.optim_wrapper.load_state_dict(content['optimizer'])
        if resume_param_scheduler and self.param_schedulers is not None:
            self.param_schedulers = self.build_param_scheduler(self.param_schedulers)
            _load_schedules(self.param_schedulers, content['param_schedulers'], filename)
        self._has_loaded = True
        self.logger.info(f'resumed epoch: {self.epoch}, iter: {self.iter}')

    def training_state(self, meta: dict[str, Any]) -> dict[str, Any]:
        """Everything needed to continue from here, as tensors and plain values.

        Args:
            meta: Plain values stored under ``meta`` beside the epoch and iteration.
        """
        return {
            'meta': {**_plain(meta), 'epoch': self.epoch, 'iter': self.iter},
            'state_dict': _plain(self._bare_model().state_dict()),
            'optimizer': _plain(self.optim_wrapper.state_dict()),
            'param_schedulers': _plain(_schedule_states(self.param_schedulers or [])),
            'scalars': checkpoints.pack_history(self.message_hub.log_scalars),
        }

    def model_state(self, meta: dict[str, Any]) -> dict[str, Any]:
        """The parameters alone, as tensors and plain values."""
        return {
            'meta': {**_plain(meta), 'epoch': self.epoch, 'iter': self.iter},
            'state_dict': _plain(self._bare_model().state_dict()),
        }

    def _init_model_weights(self) -> None:
        """Not where a whole checkpoint follows: initial weights need not be had for it."""
        if self._load_from is None:
            super()._init_model_weights()

    def get_hooks_info(self) -> str:
        """Names of the hooks in one line; mmengine's page of them hides the training."""
        return ', '.join(dict.fromkeys(type(hook).__name__ for hook in self._hooks))

    def _log_env(self, env_cfg: dict) -> None:
        """Leave it to ``environment.json`` and ``config.py`` of the run."""

    def _bare_model(self) -> nn.Module:
        return self.model.module if is_model_wrapper(self.model) else self.model


def _schedule_states(schedules: Any) -> Any:
    """States of the schedules: a list, or with several optimisers lists by their names."""
    if isinstance(schedules, dict):
        return {name: _schedule_states(group) for name, group in schedules.items()}
    return [schedule.state_dict() for schedule in schedules]


def _load_schedules(schedules: Any, states: Any, filename: str) -> None:
    """The inverse of :func:`_schedule_states`.

    Raises:
        CheckpointError: If the checkpoint was made with other schedules.
    """
    by_name = isinstance(schedules, dict)
    if by_name != isinstance(states, dict) or len(schedules) != len(states):
        raise CheckpointError(
            f'checkpoint {filename}: cannot be resumed from, its param_scheduler was another one. '
            'Train without --resume.'
        )
    if by_name:
        for name, group in schedules.items():
            _load_schedules(group, states.get(name, []), filename)
    else:
        for schedule, state in zip(schedules, states, strict=True):
            schedule.load_state_dict(state)


def _plain(value: Any) -> Any:
    """Tensors on the CPU, containers and numbers of the builtin types only."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
