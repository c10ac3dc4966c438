"""From tiles of a data loader to the input of a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from mmseg.models import SegDataPreProcessor
from mmseg.utils import stack_batch
from torch import Tensor

from arml.errors import ConfigError, DataError
from arml.models.normalisation import EPSILON, NORMALISATIONS, normalise
from arml.registry import MODELS


@MODELS.register_module()
class TissueDataPreProcessor(SegDataPreProcessor):
    """mmseg's preprocessor, with the choice to normalise each tile by its own statistics.

    Stain and brightness differ more between slides than between tissues. ``normalise='tile'``
    takes them out: each channel of each tile gets mean 0 and standard deviation 1. ``'dataset'``
    uses ``mean`` and ``std`` for all tiles, as networks trained on ImageNet expect.

    Unlike mmseg's it does not make the host wait for a GPU: copies are asynchronous
    (:func:`to_device`), and the colours are turned round without an index, which would be copied
    for every tile. Tiles of one size are converted together.

    Args:
        normalise: ``'dataset'``, ``'tile'`` or ``'unit'``.
        epsilon: Smallest standard deviation of a channel, on 0..255, so that an empty tile stays
            finite.
        channels_last: Give tiles with the channels last in memory. Convolutions keep that order, and on a CPU are
            faster in it (``docs/benchmarks.md``); results differ by rounding.
        **kwargs: As of ``mmseg.SegDataPreProcessor``. ``mean`` and ``std`` (RGB, 0..255) are needed
            for ``'dataset'`` and not read otherwise, so that ``normalise`` can be changed alone.

    Raises:
        ConfigError: If ``normalise`` is unknown, ``mean`` or ``std`` is missing for ``'dataset'``, or
            ``epsilon`` is not above 0.
    """

    def __init__(
        self,
        normalise: str = 'dataset',
        epsilon: float = EPSILON,
        channels_last: bool = False,
        **kwargs: Any,
    ) -> None:
        if normalise not in NORMALISATIONS:
            raise ConfigError(
                f'data_preprocessor.normalise: found {normalise!r}, expected one of '
                f'{", ".join(NORMALISATIONS)}.'
            )
        if normalise == 'dataset':
            for name in ('mean', 'std'):
                if kwargs.get(name) is None:
                    raise ConfigError(
                        f"data_preprocessor.{name}: found None with normalise='dataset', expected one "
                        "value for each of R, G, B on 0..255; or normalise='tile' or 'unit'."
                    )
        else:
            scale = normalise == 'unit'
            kwargs['mean'] = [0.0] * 3 if scale else None
            kwargs['std'] = [255.0] * 3 if scale else None
        if not epsilon > 0:
            raise ConfigError(
                f'data_preprocessor.epsilon: found {epsilon!r}, expected a number above 0.'
            )
        if kwargs.get('size') is None:
            kwargs.setdefault('size_divisor', 1)  # mmseg wants one of the two in training
        super().__init__(**kwargs)
        self.normalise = normalise
        self.epsilon = epsilon
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format

    def cast_data(self, data: Any) -> Any:
        """Copy all tensors to the device, those inside data samples too."""
        return _cast(data, self.device)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Copy to the device, convert to RGB, normalise, pad and stack.

        Args:
            data: ``inputs``: N tiles, (3, H, W), uint8 or float; ``data_samples``: N samples. Of
                one size, unless in training.
            training: Whether to pad as in training (targets too), else as ``test_cfg`` says.

        Returns:
            ``inputs``, float, (N, 3, H, W), and ``data_samples``.

        Raises:
            DataError: If tiles of one batch differ in size and nothing pads them; names two files.
        """
        data = self.cast_data(data)
        inputs, samples = list(data['inputs']), data.get('data_samples')
        if not ((self.size or (self.size_divisor or 1) != 1) if training else self.test_cfg):
            _refuse_sizes(inputs, samples)
        if len({one.shape for one in inputs}) == 1:
            images = [*self._converted(torch.stack(inputs))]
        else:
            images = [self._converted(one[None])[0] for one in inputs]
        padding = dict(pad_val=self.pad_val, seg_pad_val=self.seg_pad_val)
        if training:
            padding.update(size=self.size, size_divisor=self.size_divisor)
            batch, samples = stack_batch(images, samples, **padding)
            if self.batch_augments is not None:
                batch, samples = self.batch_augments(batch, samples)
        elif self.test_cfg:
            padding.update({key: self.test_cfg.get(key) for key in ('size', 'size_divisor')})
            batch, padded = stack_batch(images, **padding)
            for sample, found in zip(samples or (), padded, strict=False):
                sample.set_metainfo(found)
        else:
            batch = torch.stack(images)
        if self.normalise == 'tile':
            batch = normalise(batch, 'tile', epsilon=self.epsilon)
        return {
            'inputs': batch.contiguous(memory_format=self.memory_format),
            'data_samples': samples,
        }

    def _converted(self, tiles: Tensor) -> Tensor:
        """RGB and, but for the statistics of tiles, normalised; float, (N, 3, H, W)."""
        if self._channel_conversion and tiles.shape[1] == 3:
            tiles = tiles.flip(1)
        tiles = tiles.float()
        return (tiles - self.mean) / self.std if self._enable_normalize else tiles


def _refuse_sizes(tiles: list[Tensor], samples: list[Any] | None) -> None:
    """Raise unless all tiles of a batch are of one size."""
    sizes = [f'{tile.shape[-1]}x{tile.shape[-2]}' for tile in tiles]
    odd = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if odd is None:
        return
    first, other = (
        getattr(samples[i], 'img_path', f'tile {i}') if samples else f'tile {i}' for i in (0, odd)
    )
    raise DataError(
        f'{other}: {sizes[odd]} pixels; expected {sizes[0]} as {first}, which is in the same batch. Put '
        "dict(type='Resize', scale=...) into the pipeline; tools/check_dataset.py lists such tiles."
    )


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy without making the host wait: to a GPU through pinned memory.

    A copy from other memory may wait for what the GPU has still to do, even if ``non_blocking``.
    The data loader pins what it knows, tensors in lists and dictionaries, but not data samples.

    Args:
        tensor: Anywhere.
        device: Where it is wanted.
    """
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        # torch keeps the pinned memory until the copy is done.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _cast(data: Any, device: torch.device) -> Any:
    """The same, with all tensors on the device."""
    if isinstance(data, Tensor):
        return to_device(data, device)
    if isinstance(data, BaseDataElement):
        moved = data.new()
        moved.set_data({key: _cast(value, device) for key, value in data.items()})
        return moved
    if isinstance(data, Mapping):
        return {key: _cast(value, device) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [_cast(value, device) for value in data]
    return data
