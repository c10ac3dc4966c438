"""Where images and masks lie: the folder layouts the published archives come in."""

from pathlib import Path
from typing import NamedTuple

from arml.errors import DataError

SPLITS = ('train', 'val', 'test')
#: Accepted names of a split's folder, the written one first.
SPLIT_FOLDERS = {
    'train': ('train', 'training'),
    'val': ('val', 'valid', 'validation'),
    'test': ('test', 'testing'),
}
IMAGE_FOLDERS = ('img', 'image', 'images')
MASK_FOLDERS = ('mask', 'masks')
TRAIN_MASK_FOLDERS = ('train_mask', 'training_mask')
SUFFIX = '.png'

LAYOUT = """\
  train/        <name>[1101].png      tiles, label in the file name (also training/, train/img/)
  val/img/      <name>.png            tiles                         (also valid/)
  val/mask/     <name>.png            palette PNG masks of the same names
  test/img/, test/mask/               likewise
  train_mask/   (optional)            dense masks of the training tiles, upper bound only"""


class SplitPaths(NamedTuple):
    """Folders of one split; ``masks`` is None where there are none."""

    images: Path
    masks: Path | None


def find_split(data_root: str | Path, split: str, hint: str = '') -> SplitPaths:
    """Find the image folder and the dense-mask folder of a split.

    Args:
        data_root: Data folder, such as ``data/bcss``.
        split: ``'train'``, ``'val'`` or ``'test'``.
        hint: A sentence put at the end of error messages (which converter makes the folder).

    Raises:
        DataError: If the folder or the split is missing, two folders claim to be the split, or
            the split is not one of the three.
    """
    if split not in SPLIT_FOLDERS:
        raise DataError(f'split {split!r}: expected one of {", ".join(map(repr, SPLITS))}')
    root = Path(data_root)
    if not root.is_dir():
        found = 'it is a file' if root.exists() else 'there is no such folder'
        raise DataError(f'data_root {str(root)!r}: {found}; {_expected(hint)}')
    folders = [root / name for name in SPLIT_FOLDERS[split] if (root / name).is_dir()]
    if not folders:
        inside = ', '.join(sorted(path.name for path in root.iterdir())[:8]) or 'nothing'
        raise DataError(
            f'data_root {str(root)!r}: no folder of the {split} split '
            f'({" or ".join(SPLIT_FOLDERS[split])}); found {inside}; {_expected(hint)}'
        )
    if len(folders) > 1:
        raise DataError(
            f'data_root {str(root)!r}: both {folders[0].name}/ and {folders[1].name}/ are there '
            f'and only one can be the {split} split; remove or rename one'
        )
    folder = folders[0]
    images = _first_folder(folder, IMAGE_FOLDERS) or folder
    if split == 'train':
        return SplitPaths(images, _first_folder(root, TRAIN_MASK_FOLDERS))
    return SplitPaths(images, _first_folder(folder, MASK_FOLDERS))


def list_tiles(folder: Path) -> list[Path]:
    """Return the PNG files of a folder, sorted by name; hidden files are left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == SUFFIX and not path.name.startswith('.')
    )


def _first_folder(parent: Path, names: tuple[str, ...]) -> Path | None:
    return next((parent / name for name in names if (parent / name).is_dir()), None)


def _expected(hint: str) -> str:
    return f'expected this layout:\n{LAYOUT}' + (f'\n{hint}' if hint else '')
