"""Parameter groups of the classifier: new layers learn faster, biases faster still."""

from collections.abc import Iterable

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from arml.errors import ConfigError
from arml.registry import OPTIM_WRAPPER_CONSTRUCTORS

#: Factors of the released code for a network of backbone, neck and head.
LR_MULT = {'backbone': 1.0, 'neck': 10.0, 'head': 10.0}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CAMOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Groups of every network that learns class activation maps (AffinityNet and descendants).

    Each trainable parameter is in exactly one group, whatever its kind (convolution, linear, norm,
    a bare scalar such as gamma); frozen ones are in none. A group is a part of the network times
    {weights, biases}: weights have ``lr * lr_mult[part]`` and the weight decay of the optimiser,
    biases ``lr * lr_mult[part] * bias_lr_mult`` and ``bias_decay_mult`` times the decay. The
    defaults give 1, 2, 10 and 20 times the learning rate, and no decay on biases.

    Args:
        optim_wrapper_cfg: ``optimizer`` with ``lr`` and ``weight_decay``, as in mmengine.
        paramwise_cfg: ``lr_mult`` (factor by first part of the parameter's name; the longest
            name that fits decides, so ``backbone.b7`` may differ from ``backbone``),
            ``bias_lr_mult`` (2), ``bias_decay_mult`` (0). What is not named keeps its default.

    Raises:
        ConfigError: If a key is unknown, a factor is negative, ``lr`` is missing, or a parameter
            belongs to no part.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, None)
        given = dict(paramwise_cfg or {})
        self.lr_mult: dict[str, float] = {**LR_MULT, **given.pop('lr_mult', {})}
        self.bias_lr_mult: float = given.pop('bias_lr_mult', 2.0)
        self.bias_decay_mult: float = given.pop('bias_decay_mult', 0.0)
        if given:
            raise ConfigError(
                f'paramwise_cfg of CAMOptimWrapperConstructor: found {", ".join(given)}, expected '
                'lr_mult, bias_lr_mult, bias_decay_mult.'
            )
        if self.base_lr is None:
            raise ConfigError('optim_wrapper.optimizer.lr is missing; all groups are made from it.')
        factors = {
            **{f'lr_mult.{part}': factor for part, factor in self.lr_mult.items()},
            'bias_lr_mult': self.bias_lr_mult,
            'bias_decay_mult': self.bias_decay_mult,
        }
        for name, factor in factors.items():
            if factor < 0:
                raise ConfigError(f'paramwise_cfg.{name}: found {factor}, expected 0 or more.')

    def part_of(self, name: str) -> str:
        """The key of ``lr_mult`` that a parameter falls under.

        Raises:
            ConfigError: If there is none.
        """
        fitting = [part for part in self.lr_mult if name == part or name.startswith(f'{part}.')]
        if not fitting:
            raise ConfigError(
                f'parameter {name} is in no optimiser group: paramwise_cfg.lr_mult has factors for '
                f'{", ".join(self.lr_mult)} only. Add one for {name.split(".")[0]}.'
            )
        return max(fitting, key=len)

    def groups(self, parameters: Iterable[tuple[str, nn.Parameter]]) -> list[dict]:
        """Sort named parameters into groups, frozen ones into none.

        Returns:
            Groups for a torch optimiser, with a ``group_name``; none is empty.

        Raises:
            ConfigError: If a parameter belongs to no part, or all are frozen.
        """
        result: dict[str, dict] = {}
        for name, parameter in parameters:
            if not parameter.requires_grad:
                continue
            part = self.part_of(name)
            bias = name.rpartition('.')[2] == 'bias'
            key = f'{part}.{"bias" if bias else "weight"}'
            if key not in result:
                factor = self.lr_mult[part] * (self.bias_lr_mult if bias else 1.0)
                result[key] = {'params': [], 'lr': self.base_lr * factor, 'group_name': key}
                if self.base_wd is not None:
                    decay = self.bias_decay_mult if bias else 1.0
                    result[key]['weight_decay'] = self.base_wd * decay
            result[key]['params'].append(parameter)
        if not result:
            raise ConfigError('the network has no trainable parameter; check frozen_stages.')
        return list(result.values())

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser and its wrapper for ``model``, also a distributed one."""
        network = getattr(model, 'module', model)
        optimizer = OPTIMIZERS.build(
            {**self.optimizer_cfg, 'params': self.groups(network.named_parameters())}
        )
        wrapper = {'type': 'OptimWrapper', **self.optim_wrapper_cfg}
        return OPTIM_WRAPPERS.build(wrapper, default_args={'optimizer': optimizer})
