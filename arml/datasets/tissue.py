"""Tissue tiles with image-level labels, dense masks or pseudo masks."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmseg.datasets import BaseSegDataset

from arml.datasets.labels import parse_label
from arml.datasets.layout import SplitPaths, find_split, list_tiles
from arml.datasets.transforms.recipes import name_recipe
from arml.errors import ConfigError, DataError


class TissueDataset(BaseSegDataset):
    """One split of a tissue data set in the BCSS-WSSS layout.

    What a subclass states in ``METAINFO``: ``classes`` and ``palette`` (K each, mask values
    0..K-1), ``background_index`` (K, or None where raw K means ignored), ``background_color``,
    ``mpp`` (micrometres a pixel or None) with ``mpp_note`` on where it is from, ``white_area``
    (the white rule may predict background), ``presence_share`` (share of a tile's pixels from
    which a class counts as present) and ``dataset_name``.

    Args:
        data_root: Data folder; the layouts of :mod:`arml.datasets.layout` are accepted.
        split: ``'train'``, ``'val'`` or ``'test'``.
        masks: None: no masks, the weak training split. ``'dense'``: the split's own masks, for
            ``'train'`` those of ``train_mask/`` (full supervision only). A path: a folder of
            pseudo masks ``<stem>.png``.
        pipeline: Transforms, built in order.
        augmentation: Recipe of the pipeline's ``arml.Augment``, one of
            :data:`arml.datasets.transforms.RECIPES`; None where the pipeline has none.
        test_mode: Whether the split is validated or tested on.
        indices: Take only the first n tiles (int) or these (sequence).
        seed: Seed of the samples' randomness, which is a function of (seed, epoch, index) alone.
        lazy_init: Do not look at the folder yet (only ``metainfo`` is wanted).
        metainfo: Entries that replace those of ``METAINFO``.

    Raises:
        DataError: If the folder, the split, its images, a mask or a label is missing or wrong.
        ConfigError: If ``masks`` is not one of the three kinds, or ``augmentation`` names no recipe or no place.
    """

    #: Tiles of each split as published; empty where the number is the user's choice.
    PUBLISHED_COUNTS: ClassVar[dict[str, int]] = {}
    #: Regular expression whose first group is the case in a file name, or None.
    CASE_PATTERN: ClassVar[str | None] = None
    #: The tool that makes the data folder.
    CONVERTER: ClassVar[str] = ''

    def __init__(
        self,
        data_root: str,
        split: str,
        masks: str | Path | None = None,
        pipeline: Sequence[Any] = (),
        augmentation: str | None = None,
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        seed: int = 0,
        lazy_init: bool = False,
        metainfo: dict | None = None,
        serialize_data: bool = True,
    ) -> None:
        if masks is not None and not isinstance(masks, str | Path):
            raise ConfigError(
                f"masks={masks!r}: expected None, 'dense' or the path of a folder of pseudo masks"
            )
        self.split = split
        self.masks = masks
        self.seed = int(seed)
        # Shared memory: workers that live through several epochs must see the new number.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        super().__init__(
            img_suffix='.png',
            metainfo=metainfo,
            data_root=str(data_root),
            data_prefix={},
            indices=indices,
            serialize_data=serialize_data,
            pipeline=name_recipe(list(pipeline), augmentation),
            test_mode=test_mode,
            lazy_init=True,
        )
        if not lazy_init:
            self.full_init()

    @property
    def num_classes(self) -> int:
        """K, the number of tissue classes."""
        return len(self._metainfo['classes'])

    @property
    def epoch(self) -> int:
        """The epoch that the samples' randomness belongs to."""
        return int(self._epoch[0])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; running data-loader workers see it too."""
        self._epoch[0] = int(epoch)

    @classmethod
    def hint(cls) -> str:
        """Return the sentence that says where the data folder comes from."""
        if not cls.CONVERTER:
            return ''
        return f'Make the folder with: python {cls.CONVERTER} --help'

    def paths(self) -> SplitPaths:
        """Return the folders of the split.

        Raises:
            DataError: If they are not there.
        """
        return find_split(self.data_root, self.split, self.hint())

    def files(self) -> list[Path]:
        """Name every file that the split is made of: its images, its masks if ``'dense'``."""
        images = self._images()
        if self.masks != 'dense':
            return images
        return images + [self._mask_folder() / image.name for image in images]

    def load_data_list(self) -> list[dict]:
        """List the split's tiles, sorted by name, with label or mask."""
        images = self._images()
        masks = self._match_masks(images)
        infos = []
        for index, image in enumerate(images):
            info = {
                'img_path': str(image),
                'seg_fields': [],
                'label_map': self.label_map,
                'reduce_zero_label': self.reduce_zero_label,
                'background_index': self._metainfo.get('background_index'),
                'num_classes': self.num_classes,
                'presence_share': self._metainfo.get('presence_share', 0.0),
            }
            if self.split == 'train':
                info['image_label'] = parse_label(image, self.num_classes)
            if masks is not None:
                info['seg_map_path'] = str(masks[index])
                info['pseudo'] = self.masks != 'dense'
            infos.append(info)
        return infos

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one sample, its randomness fixed by (seed, epoch, idx)."""
        with _seeded(self.seed, self.epoch, idx):
            return super().prepare_data(idx)

    def _images(self) -> list[Path]:
        folder = self.paths().images
        images = list_tiles(folder)
        if not images:
            raise DataError(
                f'{folder}: the {self.split} split is empty (no .png file); expected tiles here. '
                f'{self.hint()}'.rstrip()
            )
        return images

    def _mask_folder(self) -> Path:
        """Folder of the masks asked for."""
        if self.masks != 'dense':
            folder = Path(self.masks)
            if not folder.is_dir():
                raise DataError(
                    f'masks {str(folder)!r}: no such folder; expected pseudo masks <stem>.png of '
                    f'the {self.split} tiles. Make them with tools/generate_pseudo_masks.py'
                )
            return folder
        folder = self.paths().masks
        if folder is None and self.split == 'train':
            raise DataError(
                f"data_root {self.data_root!r}: no train_mask/ folder, and masks='dense' asks "
                'for dense masks of the training tiles. None are published for BCSS-WSSS and '
                'LUAD-HistoSeg: use masks=None or pseudo masks'
            )
        if folder is None:
            raise DataError(
                f'data_root {self.data_root!r}: no mask/ folder in the {self.split} split; '
                f'expected one palette PNG of the same name for each tile. {self.hint()}'.rstrip()
            )
        return folder

    def _match_masks(self, images: list[Path]) -> list[Path] | None:
        if self.masks is None:
            return None
        folder = self._mask_folder()
        there = {path.name for path in folder.iterdir()}
        missing = [image.name for image in images if image.stem + '.png' not in there]
        if missing:
            named = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
            raise DataError(
                f'{folder}: {len(missing)} of {len(images)} masks of the {self.split} split are '
                f'missing ({named}); expected one <stem>.png for each tile'
            )
        return [folder / (image.stem + '.png') for image in images]


@contextmanager
def _seeded(*entropy: int) -> Iterator[None]:
    """Seed Python, NumPy and torch (CPU) inside the block; restore their states after it."""
    # Negative numbers are no entropy for SeedSequence; an index may be negative.
    words = np.random.SeedSequence([value % 2**63 for value in entropy]).generate_state(4)
    generator = torch.default_generator  # that of the CPU only: no CUDA device is touched
    python, state = random.getstate(), generator.get_state()
    numpy = np.random.get_state()  # noqa: NPY002 - mmcv's transforms draw from the global state
    random.seed(int(words[0]) << 32 | int(words[1]))
    np.random.seed(words)  # noqa: NPY002
    generator.manual_seed(int(words[2]) << 31 | int(words[3]) >> 1)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        generator.set_state(state)
