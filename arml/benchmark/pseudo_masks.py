"""Pseudo masks, batched and of the labelled classes, against one tile, class and layer at a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from arml.benchmark.harness import Bound, Harness, Report, Row, alternate, at_least, reporting
from arml.benchmark.networks import Variant, build, settings_of
from arml.benchmark.reference import grad_cam, unfreeze
from arml.datasets.labels import parse_label
from arml.datasets.layout import find_split, list_tiles
from arml.datasets.synthesis.layout import COMBINATIONS
from arml.errors import ConfigError
from arml.pseudo.gradcam import GradCAMMaps
from arml.registry import MASK_RULES

#: Layers of ``arml.ResNet38d`` that the released code makes masks from; the last one is used.
LAYERS = ('b4_5', 'b5_2', 'bn7')
#: Standard deviation of what a neck that starts as the identity is moved by.
MOVED = 0.1

Masks = dict[tuple[str, int], np.ndarray]


def run(
    harness: Harness,
    config: str,
    cfg_options: dict[str, Any] | None = None,
    section: str = 'classifier',
    layers: Sequence[str] = LAYERS,
    tiles: int = 16,
    reference_tiles: int = 1,
    batch: int = 8,
    size: int = 224,
    labels_from: str | None = None,
    ars: bool = False,
    channels_last: bool = False,
) -> Report:
    """Measure tiles per second and compare the masks.

    Args:
        harness: Rounds, device, threads, seed.
        config: Config file with an ``arml.MultiLabelClassifier``.
        cfg_options: Overrides of its leaves.
        section: Where in the config it is.
        layers: Of the maps; the last one is also measured alone.
        tiles: Tiles of one of our measurements, >= 1.
        reference_tiles: Tiles of one measurement of the reference, which is much slower and whose
            time does not depend on the labels. Each round takes the next ones.
        batch: Tiles at once, ours, >= 1.
        size: Side of the tiles in pixels.
        labels_from: Data folder whose training labels are the mix of classes; None: the mix of the
            synthetic tissue.
        ars: Whether the neck is part of the features; without it, it is switched off.
        channels_last: Whether ours keeps maps and weights with the channels last in memory.

    Raises:
        ConfigError: If a number is too small, a layer is none, or the labels do not fit.
        DataError: If the data folder has no labels.
    """
    at_least(1, tiles=tiles, reference_tiles=reference_tiles, batch=batch, size=size)
    variant = Variant(channels_last=channels_last)
    settings = settings_of(config, cfg_options, section)['model']
    if settings.get('neck'):
        settings['neck']['enabled'] = ars
    elif ars:
        raise ConfigError(f'config {config}: --ars, but {section}.model has no neck')
    options = {
        'config': config, 'cfg_options': cfg_options or {}, 'section': section, 'ars': ars,
        'layers': list(layers), 'tiles': tiles, 'reference_tiles': reference_tiles,
        'batch': batch, 'size': size, 'labels_from': labels_from, 'variant': str(variant),
    }  # fmt: skip
    with reporting('pseudo_masks', harness, **options) as report:
        classifier = move(build(settings)).to(harness.device).eval()
        reference = unfreeze(copy.deepcopy(classifier))
        classifier = variant.place(classifier, harness.device).eval()
        present = label_mix(tiles, classifier.num_classes, labels_from, harness.seed)
        images = torch.randn(tiles, 3, size, size, device=harness.device)
        rule = MASK_RULES.build(
            copy.deepcopy(settings.get('mask_rule')) or {'type': 'arml.MaskRule'}
        )
        for chosen in dict.fromkeys([tuple(layers[-1:]), tuple(layers)]):
            ours = _Ours(classifier, chosen, rule, images, present, batch, variant)
            naive = _Reference(reference, chosen, rule, images, present, reference_tiles)
            report.rows += _compare(ours, naive, harness)
        classes = float(present.sum(1).float().mean())
        report.notes.append(
            f'{config}: {"with" if ars else "without"} ARS, {size} px, {classes:.2f} labelled '
            f'classes a tile (labels of {labels_from or "the synthetic tissue"}); the reference '
            f'does all {classifier.num_classes}; ours in batches of {batch}, {variant}'
        )
    return report


def move(classifier: nn.Module) -> nn.Module:
    """Give the neck's parameters that start at 0 random values, so that it does something; in place."""
    for parameter in [] if classifier.neck is None else classifier.neck.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=MOVED)
    return classifier


def label_mix(number: int, classes: int, labels_from: str | None, seed: int) -> Tensor:
    """Labels of tiles that stand for a whole set: every quantile of its numbers of classes.

    Args:
        number: Tiles.
        classes: K.
        labels_from: Data folder, or None for the synthetic tissue.
        seed: Of the order.

    Returns:
        bool, (number, K), at least one class a tile.

    Raises:
        ConfigError: If the synthetic tissue has another number of classes.
        DataError: If the folder has no tiles with labels.
    """
    if labels_from is None:
        pool = [label for label, share in COMBINATIONS for _ in range(round(100 * share))]
        if len(pool[0]) != classes:
            raise ConfigError(
                f'--labels-from: the classifier has {classes} classes, the synthetic tissue '
                f'{len(pool[0])}. Name a data folder whose labels have {classes}'
            )
    else:
        files = list_tiles(find_split(labels_from, 'train').images)
        pool = [parse_label(Path(file), classes) for file in files]
        pool = [label for label in pool if any(label)]
    if not pool:
        raise ConfigError(f'--labels-from {labels_from}: no training tile with a label')
    pool.sort(key=lambda label: (sum(label), label))
    chosen = [pool[int((index + 0.5) / number * len(pool))] for index in range(number)]
    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(chosen).bool()[order]


class _Ours:
    """A pass over all tiles, as pseudo masks are made."""

    def __init__(
        self,
        classifier: nn.Module,
        layers: tuple[str, ...],
        rule: Any,
        images: Tensor,
        present: Tensor,
        batch: int,
        variant: Variant,
    ) -> None:
        self.classifier, self.rule, self.present = classifier, rule, present
        self.layers, self.batch = layers, batch
        self.images = variant.images(images)
        self.maps = GradCAMMaps(layers=layers, relu=False)
        self.masks: Masks = {}

    def __call__(self) -> None:
        for start in range(0, len(self.images), self.batch):
            part = slice(start, start + self.batch)
            found = self.maps(self.classifier, self.images[part], present=self.present[part])
            for layer, maps in zip(self.layers, found.values(), strict=True):
                for index, one in enumerate(maps, start):
                    self.masks[layer, index] = _mask(
                        one, self.rule, self.present[index], self.images.shape[-2:]
                    )

    @torch.no_grad()
    def forward(self) -> None:
        """What no map can do without."""
        for start in range(0, len(self.images), self.batch):
            self.classifier.extract_feat(self.images[start : start + self.batch])


class _Reference:
    """A pass over the next few tiles: one tile, one layer, one class at a time, all classes."""

    def __init__(
        self,
        classifier: nn.Module,
        layers: tuple[str, ...],
        rule: Any,
        images: Tensor,
        present: Tensor,
        number: int,
    ) -> None:
        self.classifier, self.rule, self.present = classifier, rule, present
        self.layers, self.images, self.number = layers, images, number
        self.next = 0
        self.masks: Masks = {}

    def __call__(self) -> None:
        for _ in range(self.number):
            index = self.next % len(self.images)
            for layer in self.layers:
                maps = grad_cam(self.classifier, self.images[index : index + 1], layer)
                self.masks[layer, index] = _mask(
                    maps, self.rule, self.present[index], self.images.shape[-2:]
                )
            self.next += 1
        self.classifier.zero_grad(set_to_none=True)


def _mask(maps: Tensor, rule: Any, present: Tensor, size: torch.Size) -> np.ndarray:
    """The mask of one tile from its raw maps (K, h, w)."""
    full = F.interpolate(maps[None].float(), size=size, mode='bilinear', align_corners=False)[0]
    return rule(full, present.to(full.device), None).mask


def _compare(ours: _Ours, naive: _Reference, harness: Harness) -> list[Row]:
    layers = len(ours.layers)
    what = f'{layers} layer{"s" if layers > 1 else ""}'
    works = {'ours': ours, 'reference': naive, 'limit': ours.forward}
    seconds = alternate(works, harness, f'pseudo_masks, {what}')
    tiles = {
        name: [count / value for value in seconds[name]]
        for name, count in (
            ('ours', len(ours.images)),
            ('reference', naive.number),
            ('limit', len(ours.images)),
        )
    }
    if not ours.masks.keys() >= naive.masks.keys():
        ours()  # no round measured it
    shares = [float((mask != ours.masks[key]).mean()) for key, mask in naive.masks.items()]
    several = int(sum(ours.present[index].sum() > 1 for _, index in naive.masks))
    return [
        Row(
            f'pseudo masks from {what} ({", ".join(ours.layers)})',
            'tiles/s',
            tiles['ours'],
            tiles['reference'],
            'ours / reference',
            Bound('>=', 10),
        ),
        Row(
            'the same; reference: the forward passes alone',
            'tiles/s',
            tiles['ours'],
            tiles['limit'],
            'ours / reference',
        ),
        Row(
            f'share of pixels that differ, {what}',
            'of all pixels',
            [sum(shares) / len(shares)],
            bound=Bound('<=', 0.001, of='ours'),
            note=f'{len(shares)} masks, {several} of them of tiles with several classes; largest '
            f'share of one mask {max(shares):.2e}',
        ),
    ]
