"""At the start of a training: does every trainable parameter really train?"""

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.registry import HOOKS

#: Names that a message lists before it only counts.
NAMED = 6


@HOOKS.register_module()
class ParameterCheckHook(Hook):
    """Refuse a training in which a trainable parameter does not train.

    Each parameter with ``requires_grad`` must be in exactly one group of the optimiser, and its
    gradient must be other than exactly zero somewhere in the first iterations. (The released code
    of ARML fails both: the scale of its attention is in no group, so the attention never does anything.)
    One iteration would not do: a factor that starts at 0 starves what lies behind it at the very first.

    Iterations count from the start, and anew for all parameters from each epoch in which a part joins
    (``start_epoch`` of ``arml.ARSNeck``): its own are not looked for before. What a training that ends
    earlier leaves open is only warned of.

    Args:
        iterations: Iterations in which a gradient must be seen, >= 1.
        exceptions: Shell patterns of names that may go without, for example ``*.fc1.bias``.

    Raises:
        ConfigError: If ``iterations`` is below 1.
    """

    priority = 'LOW'

    def __init__(self, iterations: int = 50, exceptions: Sequence[str] = ()) -> None:
        if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
            raise ConfigError(
                f'parameter_check.iterations: found {iterations!r}, expected a whole number from 1'
            )
        self.iterations = iterations
        self.exceptions = tuple(exceptions)
        self._watch: GradientWatch | None = None
        self._count = 0
        #: Epochs in which a check begins, with the parameters that take part from then on.
        self._checks: list[tuple[int, dict[str, nn.Parameter]]] = []

    def before_train(self, runner) -> None:
        """Check the groups of the optimiser.

        Raises:
            ConfigError: Lists parameters that are in none, or in several.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        parameters = self._expected(model)
        optimizers = getattr(runner.optim_wrapper, 'optim_wrappers', None)
        wrappers = list(optimizers.values()) if optimizers else [runner.optim_wrapper]
        check_groups(parameters, [wrapper.optimizer for wrapper in wrappers])
        late = late_parameters(model)
        self._checks = [
            (epoch, {name: p for name, p in parameters.items() if late.get(name, 0) <= epoch})
            for epoch in sorted({0, *start_epochs(model)})
        ]

    def before_train_iter(self, runner, batch_idx: int, data_batch: Any = None) -> None:
        """Begin to watch, and again when parts of the model join."""
        while self._checks and runner.epoch >= self._checks[0][0]:
            self._stop()
            self._watch, self._count = GradientWatch(self._checks.pop(0)[1]), 0
            self._watch.begin()

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Look at what was seen, at the 1st, 2nd, 4th ... iteration, so that a GPU seldom waits.

        Raises:
            ConfigError: Lists parameters without a gradient in all iterations.
        """
        if self._watch is None:
            return
        self._count += 1
        last = self._count >= self.iterations
        if not last and self._count & (self._count - 1):
            return
        starved = self._watch.starved()
        if last and starved:
            raise ConfigError(
                f'training: the gradient of {_listed(starved)} was exactly zero in the first '
                f'{self.iterations} iterations, so they do not train. Take them out of the model or '
                'freeze them; if it is meant, list them in default_hooks.parameter_check.exceptions.'
            )
        if last or not starved:
            self._stop()

    def after_train(self, runner) -> None:
        """Say what is still open in a training that was too short to tell."""
        starved = self._watch.starved() if self._watch is not None else []
        if starved:
            runner.logger.warning(
                f'after {self._count} iterations the gradient of {_listed(starved)} has always been '
                f'exactly zero (the check ends after {self.iterations})'
            )
        if self._checks:
            runner.logger.warning(
                f'parts of the model join in epoch {self._checks[0][0] + 1}, which this training did not reach: '
                'whether all parameters train with them was not checked'
            )
        self._stop()

    def _stop(self) -> None:
        if self._watch is not None:
            self._watch.end()
        self._watch = None

    def _expected(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Trainable parameters by name, without the exceptions."""
        return {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and not any(fnmatch(name, p) for p in self.exceptions)
        }


class GradientWatch:
    """Notes which parameters have ever had a gradient that is not exactly zero.

    Args:
        parameters: By name.
    """

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        self.parameters = dict(parameters)
        self._handles: dict[str, Any] = {}
        self._seen: dict[str, Tensor] = {}

    def begin(self) -> None:
        """Watch from the next backward pass on."""
        for name, parameter in self.parameters.items():
            self._handles[name] = parameter.register_hook(self._note(name))

    def starved(self) -> list[str]:
        """Names without such a gradient so far; the others are no longer watched."""
        names = list(self._seen)
        if names:
            found = torch.stack([self._seen[name] for name in names]).tolist()
            for name, nonzero in zip(names, found, strict=True):
                if nonzero:
                    self._handles.pop(name).remove()
                    del self._seen[name]
        return [name for name in self.parameters if name in self._handles]

    def end(self) -> None:
        """Watch no longer."""
        for handle in self._handles.values():
            handle.remove()
        self._handles, self._seen = {}, {}

    def _note(self, name: str):
        def note(gradient: Tensor) -> None:
            nonzero = (gradient != 0).any()
            seen = self._seen.get(name)
            self._seen[name] = nonzero if seen is None else seen | nonzero

        return note


def start_epochs(model: nn.Module) -> set[int]:
    """Epochs, from 0, in which parts of a model join its training."""
    return {getattr(module, 'start_epoch', 0) for module in model.modules()}


def late_parameters(model: nn.Module) -> dict[str, int]:
    """The epoch in which they join, by the names of the parameters of parts that do so late."""
    late: dict[str, int] = {}
    for path, module in model.named_modules():
        epoch = getattr(module, 'start_epoch', 0)
        for name, _ in module.named_parameters(path) if epoch else ():
            late[name] = max(epoch, late.get(name, 0))
    return late


def check_groups(
    parameters: dict[str, nn.Parameter], optimizers: Sequence[torch.optim.Optimizer]
) -> None:
    """Refuse parameters that are in no group of the optimisers, or in several.

    Raises:
        ConfigError: Lists them.
    """
    counts: dict[int, int] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group['params']:
                counts[id(parameter)] = counts.get(id(parameter), 0) + 1
    for wrong, words in (
        ([n for n, p in parameters.items() if not counts.get(id(p))], 'in no group'),
        ([n for n, p in parameters.items() if counts.get(id(p), 0) > 1], 'in several groups'),
    ):
        if wrong:
            raise ConfigError(
                f'optim_wrapper: {_listed(wrong)} can be trained (requires_grad) but is {words} of the '
                'optimiser, expected exactly one. Give it one, freeze it, or list it in '
                'default_hooks.parameter_check.exceptions.'
            )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ', '.join(names[:NAMED]) + (f' and {more} more' if more > 0 else '')
