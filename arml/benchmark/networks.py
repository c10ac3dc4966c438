"""From a config to networks with random weights, their optimiser and a random batch."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from arml.config import load_config
from arml.config.sections import section_of
from arml.errors import ConfigError
from arml.pipeline.testing import without_pretrained
from arml.registry import MODELS

DTYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16}
#: Side of the tiles of a first call.
SMALL = 64
#: Share of the pixels of a random mask that is ignored.
IGNORED = 0.05


@dataclass(frozen=True)
class Variant:
    """How a network is run, beside the plain way.

    Args:
        channels_last: Tiles with the channels last in memory, as ``arml.TissueDataPreProcessor`` can give them;
            maps follow.
        compile: Run backbone, neck and head through ``torch.compile``.
        amp: ``'bf16'`` or ``'fp16'``: autocast to it; the latter with mmengine's loss scaling and
            on a GPU only. None: float32.
    """

    channels_last: bool = False
    compile: bool = False
    amp: str | None = None

    def __bool__(self) -> bool:
        return self != Variant()

    def __str__(self) -> str:
        chosen = [k if v is True else str(v) for k, v in asdict(self).items() if v]
        return ', '.join(chosen) or 'plain'

    def check(self, device: torch.device) -> None:
        """Refuse what the device cannot do.

        Raises:
            ConfigError: For half precision with 5 bits of exponent on a CPU.
        """
        if self.amp == 'fp16' and device.type != 'cuda':
            raise ConfigError(
                f'--amp: found fp16 on {device}, expected bf16 or a GPU (--device cuda)'
            )

    def place(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Move a network to the device, in training mode, and prepare it; in place."""
        network = network.to(device).train()
        if self.compile:
            for part in _parts(network):
                part.compile()
        return network

    def images(self, inputs: Tensor) -> Tensor:
        """A batch of images in the memory format of the variant."""
        return inputs.to(memory_format=torch.channels_last) if self.channels_last else inputs

    def context(self, device: torch.device) -> contextlib.AbstractContextManager:
        """For the forward pass and the loss."""
        if self.amp is None:
            return contextlib.nullcontext()
        return torch.autocast(device.type, DTYPES[self.amp])

    def wrapper(self, network: nn.Module, settings: dict[str, Any]) -> OptimWrapper:
        """The optimiser of a config, as its training has it."""
        settings = copy.deepcopy(settings)
        if self.amp == 'fp16':
            settings.update(type='AmpOptimWrapper', dtype='float16')
        return build_optim_wrapper(network, settings)


def _parts(network: nn.Module) -> list[nn.Module]:
    """What is compiled: backbones, necks and heads, each for itself."""
    names = ('backbone', 'neck', 'decode_head', 'head')
    found = [
        module
        for name, module in network.named_modules()
        if name.rpartition('.')[2] in names and not name.startswith(('loss', 'swv', 'srm'))
    ]
    return [part for part in found if not any(part in list(other.modules())[1:] for other in found)]


def settings_of(path: str, options: dict[str, Any] | None, section: str | None) -> dict[str, Any]:
    """Plain settings of one model of a config: its own, without weights to be had.

    Args:
        path: Config file.
        options: Overrides, as ``--cfg-options`` gives them.
        section: Section of the config, None for the top level.

    Returns:
        ``model``, ``optim_wrapper``, ``train_dataloader`` (if there are such) and ``input_size``.

    Raises:
        ConfigError: If the config or an override is wrong, or there is no such model.
    """
    config = load_config(path, options)
    part = section_of(config, section)
    found = {
        key: plain(part[key])
        for key in ('model', 'optim_wrapper', 'train_dataloader')
        if part.get(key) is not None
    }
    found['model'] = without_pretrained(found['model'])
    found['input_size'] = tuple(part.get('input_size') or config.get('input_size') or ())
    if 'optim_wrapper' not in found:
        where = 'at the top level' if section is None else f'under {section}'
        raise ConfigError(f'config {path}: there is no optim_wrapper {where}.')
    return found


def plain(value: Any) -> Any:
    """A config's dicts and lists as builtin ones, which another process can be given."""
    if isinstance(value, Config):
        value = value._cfg_dict
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


def build(model: dict[str, Any]) -> nn.Module:
    """A model of a config with its own random start."""
    return initialised(MODELS.build(copy.deepcopy(model)))


def initialised(network: nn.Module) -> nn.Module:
    """The network after its own ``init_weights``, without mmengine's page on every parameter."""
    disabled = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        network.init_weights()
    finally:
        logging.disable(disabled)
    return network


def samples_of(masks: Tensor | None, labels: Sequence[Sequence[int]]) -> list[SegDataSample]:
    """Data samples as the loader would give them, with masks (N, H, W) and image-level labels."""
    samples = []
    for index, label in enumerate(labels):
        sample = SegDataSample(metainfo={'image_label': tuple(label), 'img_path': f'tile {index}'})
        if masks is not None:
            sample.gt_sem_seg = PixelData(data=masks[index : index + 1])
        samples.append(sample)
    return samples


def random_masks(number: int, classes: int, size: int, device: torch.device) -> Tensor:
    """Masks (N, H, W), int64, in patches of up to 16 pixels as tissue has them, some pixels ignored."""
    cells = -(-size // 16)
    coarse = torch.randint(classes, (number, cells, cells), device=device)
    masks = coarse.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, :size, :size].contiguous()
    return masks.masked_fill(torch.rand(masks.shape, device=device) < IGNORED, 255)


class Step:
    """One training step of an arml model: losses, sum, update; without reading and normalising.

    Args:
        settings: ``model`` and ``optim_wrapper``.
        variant: How it is run.
        device: Where.
    """

    def __init__(self, settings: dict[str, Any], variant: Variant, device: torch.device) -> None:
        self.variant, self.device = variant, device
        self.model = variant.place(self.build(settings['model']), device)
        self.wrapper = variant.wrapper(self.model, settings['optim_wrapper'])
        self.inputs: Tensor | None = None
        self.samples: list[SegDataSample] = []

    def build(self, model: dict[str, Any]) -> nn.Module:
        """The model, with a random start."""
        return build(model)

    def load(self, inputs: Tensor, samples: list[SegDataSample]) -> None:
        """Take the batch of the steps to come."""
        self.inputs, self.samples = self.variant.images(inputs), samples

    def __call__(self) -> Tensor:
        """Train once; returns the loss."""
        with self.variant.context(self.device):
            losses = self.model(self.inputs, self.samples, mode='loss')
            loss, _ = self.model.parse_losses(losses)
        self.wrapper.update_params(loss)
        return loss.detach()


def first_tiles(variant: Variant, batch: int, size: int) -> tuple[int, int]:
    """Tiles and side of the call in which libraries take memory once, before memory is measured.

    Few and small ones, unless the code is compiled for the sizes it sees.
    """
    return (batch, size) if variant.compile else (2, min(size, SMALL))


def hold_state(wrapper: OptimWrapper) -> None:
    """Let gradients and the optimiser's state exist, so that they do not count as a step's memory.

    The next backward pass adds to these gradients in place.
    """
    for group in wrapper.optimizer.param_groups:
        for parameter in group['params']:
            parameter.grad = torch.zeros_like(parameter)
    wrapper.optimizer.step()
