"""Write a whole synthetic data set, all of it or nothing."""

import json
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from arml.datasets.fingerprint import fingerprint
from arml.datasets.synthesis.layout import CLASSES, PALETTE
from arml.datasets.synthesis.tile import MICRONS_PER_PIXEL, SPLITS, TILES_PER_CASE, draw_tile
from arml.errors import DataError

#: Raised whenever the drawing changes, so that an old folder is not taken for a new one.
VERSION = 3
MANIFEST = 'manifest.json'
SMALLEST_SIZE = 64
_TILES_PER_ROW = 3


def write_dataset(
    out: str | Path,
    train: int = 240,
    val: int = 40,
    test: int = 60,
    seed: int = 0,
    size: int = 224,
    workers: int = 1,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> dict:
    """Draw a data set in the BCSS-WSSS layout and return its manifest.

    The tiles go to a hidden folder beside ``out`` that takes its name when everything is in it;
    killed at any moment, this function leaves nothing that looks finished. A folder that already
    holds what is asked for, byte for byte, is left alone.

    Args:
        out: Folder to make, with ``train/`` (label in each name), ``train_mask/`` (dense masks, for
            the upper bound only), ``val/`` and ``test/`` (``img/`` and ``mask/`` each) and
            ``manifest.json``.
        train: Number of training tiles, >= 1.
        val: Number of validation tiles, >= 1.
        test: Number of test tiles, >= 1.
        seed: Seed of the drawing, >= 0.
        size: Side of the tiles in pixels, >= 64.
        workers: Processes, >= 1; they change the time, never the tiles.
        force: Replace a folder that this function made with other settings.
        say: Receives the lines of progress.

    Raises:
        DataError: If a number is out of range, if ``out`` holds something else (with ``force``: if
            it holds something that this function did not make), or if a file cannot be written.
    """
    out = Path(out).absolute()
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    _check_numbers({**counts, 'workers': workers}, 1)
    _check_numbers({'seed': seed}, 0)
    _check_numbers({'size': size}, SMALLEST_SIZE)
    settings = {'version': VERSION, 'seed': seed, 'size': size, **counts}
    manifest = read_manifest(out)
    if manifest is not None and manifest['settings'] == settings and is_complete(out, manifest):
        say(f'{out}: already holds these tiles (seed {seed}); nothing to do')
        return manifest
    _check_replaceable(out, manifest, force)
    _sweep(out)
    try:
        with _temporary(out) as folder:
            manifest = _write(folder, settings, counts, workers, say)
            _put(folder, out)
    except OSError as error:
        place = error.filename or out
        raise DataError(
            f'{place}: cannot be written ({error.strerror or error}); nothing was left under '
            f'{out.name}. Free some space or choose another folder with --out, and repeat'
        ) from error
    say(f'{out}: {sum(counts.values())} tiles, fingerprint {manifest["fingerprint"][:16]}')
    return manifest


def read_manifest(out: Path) -> dict | None:
    """Return the manifest that ``write_dataset`` left in a folder; None if there is none."""
    try:
        manifest = json.loads((Path(out) / MANIFEST).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    ours = isinstance(manifest, dict) and manifest.get('dataset') == 'synthetic'
    return manifest if ours and isinstance(manifest.get('settings'), dict) else None


def is_complete(out: Path, manifest: dict) -> bool:
    """Say whether a folder holds exactly the files, by content, that its manifest tells of."""
    return fingerprint(_files(out), out) == manifest.get('fingerprint')


def format_table(manifest: dict) -> str:
    """Lay out tiles, slides, class shares and label combinations of each split as text."""
    names = [*CLASSES, 'white']
    lines = ['split  tiles  slides  ' + '  '.join(f'{name:>6}' for name in names)]
    for split in SPLITS:
        row = manifest['splits'][split]
        shares = '  '.join(f'{100 * row["pixel_shares"][name]:5.1f}%' for name in names)
        lines.append(f'{split:<5}  {row["tiles"]:>5}  {row["cases"]:>6}  {shares}')
    lines.append('tiles with label (' + ' '.join(CLASSES) + ')')
    combinations = sorted({key for row in manifest['splits'].values() for key in row['labels']})
    lines.append('label  ' + '  '.join(f'{split:>5}' for split in SPLITS))
    for key in combinations:
        numbers = (manifest['splits'][split]['labels'].get(key, 0) for split in SPLITS)
        lines.append(f'{key:<5}  ' + '  '.join(f'{number:>5}' for number in numbers))
    return '\n'.join(lines)


def tile_name(case: int, place: int, size: int) -> str:
    """Name the ``place``-th tile of a slide, without label: ``SYN-0007_x0224_y0448``."""
    x, y = place % _TILES_PER_ROW * size, place // _TILES_PER_ROW * size
    return f'SYN-{case:04d}_x{x:04d}_y{y:04d}'


def _check_numbers(numbers: dict[str, int], least: int) -> None:
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise DataError(f'{name}: found {value!r}, expected a whole number of at least {least}')


def _check_replaceable(out: Path, manifest: dict | None, force: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if manifest is None:
        raise DataError(
            f'{out}: exists and was not made by this tool (no {MANIFEST} of a synthetic set in '
            f'it); expected a new or an empty folder. Choose another with --out'
        )
    if not force:
        raise DataError(
            f'{out}: holds synthetic tiles of other settings, or was changed since they were '
            f'drawn ({manifest["settings"]}); repeat with --force to replace them, or choose '
            f'another folder with --out'
        )


def _sweep(out: Path) -> None:
    """Remove what killed processes left beside ``out``."""
    for path in out.parent.glob(f'.{out.name}.*.partial'):
        pid = path.name.split('.')[-2]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _temporary(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``out`` that is gone afterwards unless it was renamed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.parent / f'.{out.name}.{os.getpid()}.partial'
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(folder: Path, out: Path) -> None:
    """Give the finished folder its name; an old one disappears in the same moment."""
    old = folder.with_name(f'.{out.name}.old.{os.getpid()}.partial')
    if out.exists():
        os.replace(out, old)
    os.replace(folder, out)
    shutil.rmtree(old, ignore_errors=True)


def _write(
    folder: Path, settings: dict, counts: dict[str, int], workers: int, say: Callable[[str], None]
) -> dict:
    splits, first_case = {}, 0
    for split, count in counts.items():
        images, masks = _folders(folder, split)
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        job = partial(_write_tile, folder, settings['seed'], split, settings['size'], first_case)
        labels: Counter[str] = Counter()
        pixels = np.zeros(5, np.int64)
        step = max(count // 4, 1)
        for done, (label, found) in enumerate(_run(job, range(count), workers), 1):
            labels[label] += 1
            pixels += found
            if done % step == 0 or done == count:
                say(f'{split}: {done}/{count} tiles')
        cases = -(-count // TILES_PER_CASE)
        first_case += cases
        shares = pixels / pixels.sum()
        splits[split] = {
            'tiles': count,
            'cases': cases,
            'pixel_shares': dict(zip([*CLASSES, 'white'], map(float, shares), strict=True)),
            'labels': dict(sorted(labels.items())),
        }
    manifest = {
        'dataset': 'synthetic',
        'settings': settings,
        'classes': list(CLASSES),
        'palette': [list(colour) for colour in PALETTE],
        'microns_per_pixel': MICRONS_PER_PIXEL,
        'splits': splits,
        'fingerprint': fingerprint(_files(folder), folder),
    }
    text = json.dumps(manifest, indent=2) + '\n'
    (folder / MANIFEST).write_text(text, encoding='utf-8')
    return manifest


def _folders(root: Path, split: str) -> tuple[Path, Path]:
    """Return the folders of images and masks of a split."""
    if split == 'train':
        return root / 'train', root / 'train_mask'
    return root / split / 'img', root / split / 'mask'


def _files(root: Path) -> list[Path]:
    return sorted(
        path
        for split in SPLITS
        for folder in _folders(root, split)
        if folder.is_dir()
        for path in folder.iterdir()
    )


def _write_tile(
    root: Path, seed: int, split: str, size: int, first_case: int, number: int
) -> tuple[str, np.ndarray]:
    """Draw and write one tile; return its label and its pixels per class."""
    tile = draw_tile(seed, split, number, size)
    label = ''.join(map(str, tile.label))
    name = tile_name(first_case + number // TILES_PER_CASE, number % TILES_PER_CASE, size)
    if split == 'train':
        name += f'[{label}]'
    images, masks = _folders(root, split)
    Image.fromarray(tile.image).save(images / f'{name}.png', compress_level=4)
    mask = Image.fromarray(tile.mask)
    mask.putpalette([value for colour in PALETTE for value in colour])
    mask.save(masks / f'{name}.png', optimize=False, compress_level=6)
    return label, np.bincount(tile.mask.ravel(), minlength=5)


def _run(job: Callable, numbers: Iterable[int], workers: int) -> Iterator:
    """Apply ``job`` to every number, in order, on ``workers`` processes."""
    if workers == 1:
        yield from map(job, numbers)
        return
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a pool of threads does not survive a fork
    try:
        with multiprocessing.get_context(method).Pool(workers) as pool:
            yield from pool.imap(job, numbers, chunksize=4)
    finally:
        cv2.setNumThreads(threads)
