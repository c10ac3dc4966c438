"""Predicting many image files: masks, overlays, class shares, settings."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from arml.atomic import replacing, write_json, write_text
from arml.datasets.transforms import decode_tile
from arml.errors import ConfigError, DataError
from arml.inference.predictor import TissuePredictor
from arml.progress import Progress
from arml.pseudo.io import write_mask
from arml.report.tiles import draw_legend

#: Name of label K in tables and legends.
BACKGROUND = 'background'
SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp')


@dataclass(frozen=True)
class Predicted:
    """What :func:`predict_images` did.

    Attributes:
        shares: Image name -> share of each class in [0, 1], of background last where the network
            predicts it.
        faults: One message per image that could not be predicted; it names the file.
    """

    shares: dict[str, list[float]]
    faults: list[str]


def find_images(paths: Iterable[str | os.PathLike]) -> dict[str, Path]:
    """Image files among files and folders.

    Args:
        paths: Files, taken as they are, and folders, searched with all their sub-folders.

    Returns:
        Output name -> file, sorted per folder. The name is the path inside the given folder,
        without suffix.

    Raises:
        DataError: If a path does not exist, a folder holds no image, or two images would be
            written to one name.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(f for f in path.rglob('*') if f.suffix.lower() in SUFFIXES)
            if not files:
                raise DataError(f'{path}: no image in this folder ({", ".join(SUFFIXES)})')
            named = [(file.relative_to(path).with_suffix('').as_posix(), file) for file in files]
        elif path.is_file():
            named = [(path.stem, path)]
        else:
            raise DataError(f'{path}: no such file or folder')
        for name, file in named:
            if name in found:
                raise DataError(
                    f'{found[name]} and {file} would both be written as {name}.png; predict them '
                    'into two folders'
                )
            found[name] = file
    return found


def overlay(
    image: np.ndarray, mask: np.ndarray, palette: Sequence[Sequence[int]], alpha: float = 0.4
) -> np.ndarray:
    """An image under the colours of its mask, with outlines between classes.

    Args:
        image: uint8, RGB, (H, W, 3).
        mask: Labels, integer, (H, W), in [0, len(palette)).
        palette: RGB colours in [0, 255].
        alpha: Weight of the colours in [0, 1].

    Returns:
        uint8, RGB, (H, W, 3).
    """
    colours = np.asarray(palette, dtype=np.uint8)[mask]
    blended = cv2.addWeighted(np.ascontiguousarray(image), 1 - alpha, colours, alpha, 0)
    if alpha > 0:
        labels = np.ascontiguousarray(mask, dtype=np.uint8)
        border = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        blended[border] = colours[border] // 2
    return blended


def check_arguments(mpp: float | None, alpha: float) -> None:
    """Check what a user chose before a network is loaded for it.

    Raises:
        ConfigError: If ``mpp`` is not positive or ``alpha`` is not in [0, 1].
    """
    if mpp is not None and not mpp > 0:
        raise ConfigError(f'mpp: found {mpp}, expected microns per pixel above 0')
    if not 0 <= alpha <= 1:
        raise ConfigError(f'overlay alpha: found {alpha}, expected a number in [0, 1]')


def predict_images(
    predictor: TissuePredictor,
    images: dict[str, Path],
    out: str | os.PathLike,
    mpp: float | None = None,
    alpha: float = 0.4,
    settings: dict[str, Any] | None = None,
) -> Predicted:
    """Predict image files one after the other.

    Written to ``out``, each file atomically: ``masks/<name>.png`` (palette PNG of class
    indices), ``overlays/<name>.png``, and at the end ``legend.png``, ``shares.csv`` (share of each
    class per image) and ``settings.json``. An image that cannot be read is listed and left out.

    Args:
        predictor: The network.
        images: Output name -> file, from :func:`find_images`.
        out: Folder to write to.
        mpp: Microns per pixel of the images; ``None`` where unknown.
        alpha: Weight of the colours in the overlays.
        settings: Noted in ``settings.json`` beside what the checkpoint says.

    Returns:
        Shares and faults.

    Raises:
        ConfigError: As :func:`check_arguments`.
        ArmlError: If a file cannot be written.
    """
    check_arguments(mpp, alpha)
    out = Path(out)
    # A network with K + 1 outputs predicts background too.
    names = list(predictor.classes)
    colours = [*predictor.palette, predictor.background_color]
    shares: dict[str, list[float]] = {}
    faults: list[str] = []
    progress = Progress('prediction', len(images))
    for name, file in images.items():
        try:
            image = np.ascontiguousarray(decode_tile(file)[..., ::-1])
        except DataError as error:
            faults.append(str(error))
        else:
            probabilities = predictor(image, mpp)
            names = [*predictor.classes, BACKGROUND][: len(probabilities)]
            mask = probabilities.argmax(0).astype(np.uint8)
            write_mask(out / 'masks' / f'{name}.png', mask, colours)
            picture = Image.fromarray(overlay(image, mask, colours, alpha))
            with replacing(out / 'overlays' / f'{name}.png') as temporary:
                picture.save(temporary, format='PNG')
            counts = np.bincount(mask.ravel(), minlength=len(names))
            shares[name] = (counts / mask.size).tolist()
        progress.add()
    palette = colours[: len(names)]
    draw_legend(names, palette, out / 'legend.png')
    write_text(out / 'shares.csv', shares_csv(shares, names))
    write_json(
        out / 'settings.json',
        {
            **(settings or {}),
            'mpp': mpp,
            'model_mpp': predictor.mpp,
            'rescaled_by_mpp': None not in (mpp, predictor.mpp),
            'classes': names,
            'palette': palette,
            'input_size': predictor.input_size,
            'tile_size': predictor.tile_size,
            'overlap': predictor.overlap,
            'overlay_alpha': alpha,
            'images': len(shares),
            'faults': faults,
        },
    )
    return Predicted(shares, faults)


def shares_csv(shares: dict[str, list[float]], classes: Sequence[str]) -> str:
    """Class shares as CSV: ``image``, then one column per class, six decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['image', *classes])
    for name, values in shares.items():
        writer.writerow([name, *(f'{value:.6f}' for value in values)])
    return text.getvalue()
