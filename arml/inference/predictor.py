"""From an array and its microns per pixel to class probabilities, with no data set behind it."""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from arml.device import device_of
from arml.engine import checkpoint as checkpoints
from arml.engine.card_check import card_in
from arml.errors import CheckpointError, ConfigError, DataError
from arml.inference.config_text import model_settings
from arml.inference.windows import hann_weights, pad_to, resize, window_starts
from arml.models.normalisation import EPSILON, NORMALISATIONS, normalise


class TissuePredictor:
    """A trained segmentor as a function: ``predictor(image, mpp) -> probabilities``.

    The image is brought to the scale of the tiles that the network was trained on (where its
    microns per pixel and theirs are both known; otherwise it is taken to be at that scale
    already), then by the factor with which tiles entered the network. A small image is mirrored
    at its edges up to one window; a large one is cut into overlapping windows of the network's
    input size, whose probabilities are blended with Hann weights. The result is resized to the
    image. A window is normalised as a tile is: with ``normalise='tile'`` each by its own mean and
    standard deviation, not by those of the whole image. Memory grows with the image and with
    ``batch_size``, not with the number of windows.

    Args:
        model: Segmentor with ``predict_probabilities(inputs) -> (N, K, h, w)``; K + 1 channels, the
            last of background, where the card has a ``background_index``.
        card: What its checkpoint says about it: ``classes``, ``palette``, ``input_size`` (H, W)
            and optionally ``tile_size``, ``mpp``, ``normalise``, ``epsilon``, ``mean``,
            ``std``, ``bgr_to_rgb``, ``background_index``, ``background_color``.
        device: Where it runs; ``None``: a GPU where there is one.
        overlap: Least share of a window that the next one covers again, in [0, 1).
        batch_size: Windows at once.

    Attributes:
        classes: Names of the K classes.
        palette: Their RGB colours.
        background_color: RGB colour of label K.
        mpp: Microns per pixel of the training tiles, or ``None``.
        input_size: Pixels (H, W) of a window.

    Raises:
        CheckpointError: If the model does not segment, the card lacks a field, or it names an
            unknown normalisation.
        ConfigError: If ``overlap`` or ``batch_size`` is out of range, or there is no such device.
    """

    def __init__(
        self,
        model: nn.Module,
        card: dict[str, Any],
        device: str | None = None,
        overlap: float = 0.5,
        batch_size: int = 8,
    ) -> None:
        if not hasattr(model, 'predict_probabilities'):
            raise CheckpointError(
                f'the checkpoint is of a {type(model).__name__} (stage {card.get("stage")!r}), '
                'which gives no class probabilities per pixel; give the checkpoint of a segmentor'
            )
        for field in ('classes', 'palette', 'input_size'):
            if not card.get(field):
                raise CheckpointError(
                    f'the checkpoint says nothing about "{field}" (meta.arml.{field}), which '
                    'prediction needs; use a checkpoint written by tools/train.py'
                )
        self.normalise = card.get('normalise', 'dataset')
        if self.normalise not in NORMALISATIONS:
            raise CheckpointError(
                f'the checkpoint says "normalise": {self.normalise!r} (meta.arml.normalise), '
                f'expected one of {", ".join(NORMALISATIONS)}; it was written by another version'
            )
        if not 0 <= overlap < 1:
            raise ConfigError(f'overlap: found {overlap}, expected a number in [0, 1)')
        if batch_size < 1:
            raise ConfigError(f'batch_size: found {batch_size}, expected at least 1')
        self.device = device_of(device)
        self.model = model.to(self.device).eval()
        self.card = dict(card)
        self.classes: tuple[str, ...] = tuple(card['classes'])
        self.palette = [tuple(colour) for colour in card['palette']]
        self.background_color = tuple(card.get('background_color') or (255, 255, 255))
        self.mpp: float | None = card.get('mpp')
        self.input_size: tuple[int, int] = tuple(card['input_size'])
        self.tile_size: tuple[int, int] = tuple(card.get('tile_size') or card['input_size'])
        self.overlap, self.batch_size = overlap, batch_size
        self._weights = hann_weights(*self.input_size)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike,
        config: Config | str | os.PathLike | None = None,
        device: str | None = None,
        classes: Sequence[str] | None = None,
        **settings: Any,
    ) -> 'TissuePredictor':
        """Load a segmentor that ``tools/train.py`` trained.

        Args:
            path: The checkpoint. Nothing in it is executed.
            config: Config, or its file, to build the model from; ``None``: the text inside the
                checkpoint.
            device: As in the constructor.
            classes: Names that the caller (the data set of the config) expects; ``None``: any.
            **settings: ``overlap`` and ``batch_size`` of the constructor.

        Raises:
            CheckpointError: If the checkpoint is missing, damaged, unsafe, of a classifier, of
                another architecture or other classes, or says nothing about its model.
            ConfigError: If the config or the device cannot be used.
        """
        from mmseg.utils import register_all_modules

        from arml.config.load import load_config
        from arml.config.sections import section_of

        device_of(device)  # before anything large is read
        content = checkpoints.load(path)
        card = card_in(content)
        if not card:
            raise CheckpointError(
                f'checkpoint {path}: it does not describe its model (meta.arml is missing); use a '
                'checkpoint written by tools/train.py'
            )
        if classes is not None and list(classes) != list(card.get('classes') or ()):
            raise CheckpointError(
                f'checkpoint {path}: it was trained on the classes {card.get("classes")}, the '
                f'config is for {list(classes)}; give the config that it was trained with'
            )
        register_all_modules(init_default_scope=False)
        if config is None:
            model_config = model_settings(card)
        else:
            config = config if isinstance(config, Config) else load_config(Path(config))
            model_config = dict(section_of(config, card.get('section')))['model'].to_dict()
        with DefaultScope.overwrite_default_scope('mmseg'):
            model = checkpoints.trained_model(model_config, content, path)
        return cls(model, card, device, **settings)

    def __call__(self, image: np.ndarray, mpp: float | None = None) -> np.ndarray:
        """Class probabilities of every pixel.

        Args:
            image: uint8, RGB, (H, W, 3), any size.
            mpp: Microns per pixel of the image; ``None`` where unknown.

        Returns:
            float32 in [0, 1] with sum 1 over channels, (K, H, W), or (K + 1, H, W) of a network
            that predicts background too.

        Raises:
            CheckpointError: If the model gives another number of channels.
            DataError: If the image is not uint8 (H, W, 3) or empty, or ``mpp`` is not positive.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise DataError(
                f'image: found {image.dtype} {image.shape}, expected RGB, uint8 (H, W, 3)'
            )
        height, width = image.shape[:2]
        scaled = self._to_network_scale(image, mpp)
        probabilities = self._blend(pad_to(scaled, *self.input_size))
        probabilities = probabilities[:, : scaled.shape[0], : scaled.shape[1]]
        if scaled.shape[:2] == (height, width):
            return np.ascontiguousarray(probabilities)
        return np.stack([resize(plane, height, width) for plane in probabilities])

    def _to_network_scale(self, image: np.ndarray, mpp: float | None) -> np.ndarray:
        if mpp is not None and not mpp > 0:
            raise DataError(f'mpp: found {mpp}, expected microns per pixel above 0')
        height, width = image.shape[:2]
        if mpp is not None and self.mpp is not None and mpp != self.mpp:
            # First what a tile of the data set would look like; that may shrink a lot.
            height, width = (max(1, round(side * mpp / self.mpp)) for side in (height, width))
            image = resize(image, height, width, antialias=True)
        factors = (i / t for i, t in zip(self.input_size, self.tile_size, strict=True))
        sides = (max(1, round(s * f)) for s, f in zip((height, width), factors, strict=True))
        return resize(image, *sides)

    def _blend(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        starts = [
            window_starts(length, window, self.overlap)
            for length, window in zip((height, width), self.input_size, strict=True)
        ]
        total = None
        weight = np.zeros((height, width), dtype=np.float32)
        corners = itertools.product(*starts)
        while batch := list(itertools.islice(corners, self.batch_size)):
            for place, probabilities in zip(
                map(self._place, batch), self._predict(image, batch), strict=True
            ):
                if total is None:
                    total = np.zeros((len(probabilities), height, width), dtype=np.float32)
                total[:, *place] += probabilities * self._weights
                weight[place] += self._weights
        total /= weight
        return total

    def _place(self, corner: tuple[int, int]) -> tuple[slice, slice]:
        return tuple(
            slice(start, start + side) for start, side in zip(corner, self.input_size, strict=True)
        )

    @torch.inference_mode()
    def _predict(self, image: np.ndarray, corners: list[tuple[int, int]]) -> Iterator[np.ndarray]:
        tiles = np.stack([image[self._place(corner)] for corner in corners])
        probabilities = self.model.predict_probabilities(self._preprocess(tiles))
        channels = [len(self.classes)]
        if self.card.get('background_index') == len(self.classes):
            channels.append(len(self.classes) + 1)
        expected = [(len(tiles), count, *self.input_size) for count in channels]
        if tuple(probabilities.shape) not in expected:
            raise CheckpointError(
                f'the model gives probabilities of shape {tuple(probabilities.shape)}, expected '
                f'{" or ".join(map(str, expected))} for the classes {list(self.classes)}'
                + (' (the last channel for background)' if len(channels) > 1 else '')
            )
        return iter(probabilities.float().cpu().numpy())

    def _preprocess(self, tiles: np.ndarray) -> Tensor:
        """RGB uint8 (N, H, W, 3) as the network was fed in training (mmseg's preprocessor)."""
        inputs = torch.from_numpy(tiles).to(self.device).permute(0, 3, 1, 2).float()
        if not self.card.get('bgr_to_rgb'):
            inputs = inputs.flip(1)  # trained on images as they are read: BGR
        return normalise(
            inputs,
            self.normalise,
            self.card.get('mean'),
            self.card.get('std'),
            self.card.get('epsilon', EPSILON),
        )
