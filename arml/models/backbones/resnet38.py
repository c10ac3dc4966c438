"""ResNet38d: model A1 of "Wider or Deeper" (Wu et al., 2016), with stride 8 as used for CAMs."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from arml.errors import ConfigError
from arml.models.backbones.resnet38_blocks import BasicBlock, BottleneckBlock
from arml.registry import MODELS

#: Blocks in the order of the forward pass, by the stage that freezes them.
STAGES: dict[int, tuple[str, ...]] = {
    1: ('conv1a',),
    2: ('b2', 'b2_1', 'b2_2'),
    3: ('b3', 'b3_1', 'b3_2'),
    4: ('b4', 'b4_1', 'b4_2', 'b4_3', 'b4_4', 'b4_5'),
    5: ('b5', 'b5_1', 'b5_2'),
    6: ('b6',),
    7: ('b7', 'bn7'),
}

#: The blocks whose pre-activated inputs are taps 0, 1, 2; tap 3 is ReLU(bn7(.)).
TAP_BLOCKS = ('b4', 'b5', 'b6')


@MODELS.register_module()
class ResNet38d(BaseModule):
    """Wide pre-activation ResNet of 38 layers, output stride 8, 105.1 M parameters.

    Source: Wu, Shen, van den Hengel, "Wider or Deeper: Revisiting the ResNet Model for Visual
    Recognition" (2016), model A1; dilations, dropout and frozen blocks as in the networks that
    learn class activation maps with it (AffinityNet and its descendants). The names of the
    modules are those of the converted weight files in circulation, so these load as they are.

    Shape:
        - input: float, (N, 3, H, W), normalised like the weights that are used.
        - output: a tuple by ``out_indices`` of tap 0 (N, 256, H/4, W/4), tap 1 (N, 512, H/8, W/8),
          tap 2 (N, 1024, H/8, W/8), tap 3 (N, 4096, H/8, W/8); all after BN and ReLU, so >= 0.

    Args:
        out_indices: Which taps are returned, ascending, in 0..3.
        frozen_stages: Last stage without training, 0..7: 1 is conv1a, 2 adds b2, 3 adds b3 and so
            on. Frozen blocks run without building a graph. 2 is what the paper's repository does.
        norm_eval: Keep the statistics of every BN fixed while training.
        norm_cfg: The norm layers, as in mmcv; ``requires_grad=False`` also fixes scale and shift.
            Training from scratch wants ``norm_eval=False, norm_cfg.requires_grad=True``.
        dilations: Dilation of the 3x3 convolutions of blocks ``b5``, ``b6``, ``b7``; what is not
            named keeps 2, 4, 4.
        dropouts: Channel dropout in ``b6`` and ``b7``, in [0, 1); what is not named keeps 0.3, 0.5.
        init_cfg: ``dict(type='Pretrained', checkpoint=PATH)``, or None: from scratch.

    Raises:
        ConfigError: If an index, a stage, a block name or a rate is out of its range.
    """

    #: Names under which maps of a layer are asked for, where the module that gives it has another:
    #: the last layer is ReLU(bn7(.)), and is called bn7 wherever maps are read from it.
    map_layers: ClassVar[dict[str, str]] = {'bn7': 'relu7'}

    def __init__(
        self,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = 2,
        norm_eval: bool = True,
        norm_cfg: dict | None = None,
        dilations: dict[str, int] | None = None,
        dropouts: dict[str, float] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices)
        #: Channels of the taps that a call returns.
        self.channels = [(256, 512, 1024, 4096)[i] for i in self.out_indices if i in range(4)]
        if not self.out_indices or any(index not in range(4) for index in self.out_indices):
            raise ConfigError(
                f'ResNet38d.out_indices: found {out_indices}, expected some of 0, 1, 2, 3.'
            )
        if frozen_stages not in range(8):
            raise ConfigError(
                f'ResNet38d.frozen_stages: found {frozen_stages}, expected an integer in 0..7.'
            )
        if list(self.out_indices) != sorted(set(self.out_indices)):
            raise ConfigError(
                f'ResNet38d.out_indices: found {out_indices}, expected each once and ascending.'
            )
        dilation = _complete('dilations', dilations, {'b5': 2, 'b6': 4, 'b7': 4}, 1, float('inf'))
        dropout = _complete('dropouts', dropouts, {'b6': 0.3, 'b7': 0.5}, 0, 1)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        norm = {'type': 'BN', 'requires_grad': False, **(norm_cfg or {})}
        self.norm_requires_grad = norm['requires_grad']

        self.conv1a = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self._add_blocks('b2', 3, 64, 128, 128, norm, stride=2)
        self._add_blocks('b3', 3, 128, 256, 256, norm, stride=2)
        self._add_blocks('b4', 6, 256, 512, 512, norm, stride=2)
        rate = dilation['b5']
        self.b5 = BasicBlock(512, 512, 1024, norm, first_dilation=1, dilation=rate)
        self.b5_1 = BasicBlock(1024, 512, 1024, norm, first_dilation=rate, dilation=rate)
        self.b5_2 = BasicBlock(1024, 512, 1024, norm, first_dilation=rate, dilation=rate)
        self.b6 = BottleneckBlock(1024, 2048, norm, dilation['b6'], dropout['b6'])
        self.b7 = BottleneckBlock(2048, 4096, norm, dilation['b7'], dropout['b7'])
        self.bn7 = build_norm_layer(norm, 4096)[1]
        self.relu7 = nn.ReLU()
        last = self.out_indices[-1]
        self._last_tap_block = TAP_BLOCKS[last] if last < 3 else None
        self._fix_unused()
        self._freeze()

    def _add_blocks(
        self,
        name: str,
        number: int,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        norm: dict,
        stride: int,
    ) -> None:
        """Add ``name``, ``name_1``, ...; the first one halves the resolution."""
        self.add_module(name, BasicBlock(in_channels, mid_channels, out_channels, norm, stride))
        for index in range(1, number):
            block = BasicBlock(out_channels, mid_channels, out_channels, norm)
            self.add_module(f'{name}_{index}', block)

    def init_weights(self) -> None:
        """Load the weights of ``init_cfg``, or initialise from scratch at unit scale.

        From scratch, the last convolution of each residual branch is divided by the square root
        of the number of blocks, so that features keep their scale even while BN is fixed. The last
        norm starts at 0.1: with 4096 features of unit scale one step of a linear head at a rate of
        0.1 would overshoot a hundredfold.
        """
        if not self.init_cfg:
            blocks = [m for m in self.modules() if isinstance(m, BasicBlock | BottleneckBlock)]
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
            with torch.no_grad():
                for block in blocks:
                    block.last_conv.weight.div_(len(blocks) ** 0.5)
                self.bn7.weight.fill_(0.1)
        super().init_weights()

    def _fix_unused(self) -> None:
        """Blocks beyond the last tap stay, so that weight files fit, but are not trained."""
        if self._last_tap_block is None:
            return
        first = next(stage for stage, names in STAGES.items() if self._last_tap_block in names)
        for stage in range(first, 8):
            for name in STAGES[stage]:
                getattr(self, name).requires_grad_(False)
        trained = self.frozen_stages < first and self.norm_requires_grad
        getattr(self, self._last_tap_block).bn_branch2a.requires_grad_(trained)

    def _frozen_names(self) -> list[str]:
        return [name for stage in range(1, self.frozen_stages + 1) for name in STAGES[stage]]

    def _freeze(self) -> None:
        for name in self._frozen_names():
            module = getattr(self, name)
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> 'ResNet38d':
        """Set the mode; frozen blocks, and all BN if ``norm_eval``, stay in evaluation mode."""
        super().train(mode)
        if mode:
            self._freeze()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the taps named by ``out_indices``.

        Args:
            inputs: Images, float, (N, 3, H, W).

        Returns:
            One non-negative feature map for each of ``out_indices``.
        """
        frozen = set(self._frozen_names())
        grad = torch.is_grad_enabled()
        names = [name for stage in STAGES.values() for name in stage if name != 'bn7']
        taps: dict[int, Tensor] = {}
        x = inputs
        for name in names:
            # A graph through frozen blocks is wanted only by an input that needs a gradient itself.
            with torch.set_grad_enabled(grad and (name not in frozen or x.requires_grad)):
                block = getattr(self, name)
                if name == self._last_tap_block:
                    taps[self.out_indices[-1]] = F.relu(block.bn_branch2a(x))
                    break
                if name in TAP_BLOCKS:
                    x, taps[TAP_BLOCKS.index(name)] = block(x, return_activated=True)
                else:
                    x = block(x)
        if 3 in self.out_indices:
            taps[3] = self.relu7(self.bn7(x))
        return tuple(taps[index] for index in self.out_indices)


def _complete(field: str, given: dict | None, defaults: dict, low: float, high: float) -> dict:
    """Fill in what is not given; refuse unknown blocks and values outside [low, high)."""
    for name, value in (given or {}).items():
        if name not in defaults:
            raise ConfigError(
                f'ResNet38d.{field}: found block {name!r}, expected some of {", ".join(defaults)}.'
            )
        if not low <= value < high:
            raise ConfigError(
                f'ResNet38d.{field}.{name}: found {value}, expected a value >= {low} and < {high}.'
            )
    return {**defaults, **(given or {})}
