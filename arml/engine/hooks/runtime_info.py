"""mmengine's RuntimeInfoHook without a wait for the device in every iteration."""

from collections import defaultdict
from typing import Any

import torch
from mmengine.hooks import LoggerHook
from mmengine.hooks import RuntimeInfoHook as MMEngineRuntimeInfoHook
from torch import Tensor

from arml.registry import HOOKS


@HOOKS.register_module()
class RuntimeInfoHook(MMEngineRuntimeInfoHook):
    """Hand losses to the message hub only when they are read, all in one transfer.

    mmengine's hook reads every loss back in every iteration, and the host waits for the device each
    time. Here they stay on their device until a ``LoggerHook`` will write them, the epoch ends (a
    checkpoint holds their history) or a validation begins. The hub then holds what it would have
    held. A hook of one's own that reads ``train/`` scalars within an epoch calls :meth:`hand_over`
    first.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[str, Any]] = []

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Keep this iteration's values on their device; hand all over if they will be read now."""
        new = False
        for name, value in (outputs or {}).items():
            key = f'train/{name}'
            if isinstance(value, Tensor):
                value = value.detach().reshape(())  # one number, and no graph
            self._kept.append((key, value))
            # The order of a log line is that in which the hub first saw the names.
            new = new or key not in runner.message_hub.log_scalars
        if new or self._is_read(runner, batch_idx):
            self.hand_over(runner)

    def after_train_epoch(self, runner) -> None:
        """Hand over before the checkpoint is written."""
        self.hand_over(runner)

    def before_val(self, runner) -> None:
        """Hand over before a validation amid an epoch, after which a checkpoint may be written."""
        self.hand_over(runner)
        super().before_val(runner)

    def after_train(self, runner) -> None:
        """Hand over what a training that is not counted in epochs has left."""
        self.hand_over(runner)
        super().after_train(runner)

    def hand_over(self, runner) -> None:
        """Give the message hub all values that are kept, in their order."""
        kept, self._kept = self._kept, []
        groups: dict[tuple, list[int]] = defaultdict(list)
        for index, (_, value) in enumerate(kept):
            if isinstance(value, Tensor):
                groups[value.device, value.dtype].append(index)
        numbers = {}
        for indices in groups.values():
            # One dtype each, so that every number is what its own item() would give.
            values = torch.stack([kept[index][1] for index in indices]).tolist()
            numbers.update(zip(indices, values, strict=True))
        for index, (key, value) in enumerate(kept):
            runner.message_hub.update_scalar(key, numbers.get(index, value))

    def _is_read(self, runner, batch_idx: int) -> bool:
        """Whether a logger writes the losses of this iteration."""
        return self.end_of_epoch(runner.train_dataloader, batch_idx) or any(
            self.every_n_inner_iters(batch_idx, hook.interval)
            for hook in runner.hooks
            if isinstance(hook, LoggerHook)
        )
