"""Masks of all tiles of a split from a trained classifier: batched, atomic, resumable."""

import copy
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.dataset import pseudo_collate
from mmengine.dist import barrier
from torch.utils.data import DataLoader, Subset

from arml.atomic import write_json
from arml.datasets.fingerprint import file_sha256, fingerprint
from arml.datasets.transforms import decode_tile
from arml.device import device_of
from arml.engine import checkpoint as checkpoints
from arml.engine.card_check import card_in, check_card
from arml.errors import ArmlError, ConfigError, DataError
from arml.evaluation.confusion import confusion_matrix, protocol_metrics
from arml.progress import Progress
from arml.pseudo.io import read_mask, write_extra, write_mask
from arml.registry import DATASETS, MAPS, MASK_RULES

MANIFEST = 'manifest.json'
#: What is being made in a folder; it goes when the manifest is there.
CLAIM = 'in_progress.json'
#: Settings of a data set that do not change its tiles: where they are, how they are read.
PLACES = ('data_root', 'masks', 'seed', 'lazy_init', 'serialize_data')


@dataclass
class Made:
    """What :func:`generate` made.

    Attributes:
        masks: Map names; each is a folder of masks ``<stem>.png``.
        extras: ``<map>.<extra>`` of what the rule gives beside a mask; each is a folder of arrays
            ``<stem>.npy``.
        tiles: Number of tiles.
        scores: On rank 0, if asked for: what :func:`score_masks` found.
        unscored: Why there are no scores, where the dense masks are faulty.
    """

    masks: list[str]
    tiles: int
    extras: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    unscored: str | None = None

    @property
    def names(self) -> list[str]:
        """All folders that were made."""
        return [*self.masks, *self.extras]


def default_folder(config_file: str | Path, checkpoint: Path, split: str) -> Path:
    """A folder of its own for the masks of each config, checkpoint and split.

    Raises:
        CheckpointError: If the checkpoint is not a file.
    """
    if not checkpoint.is_file():
        checkpoints.load(checkpoint)  # says what is wrong
    name = f'masks-{Path(config_file).stem}-{file_sha256(checkpoint)[:8]}'
    return Path('work_dirs') / (name if split == 'train' else f'{name}-{split}')


def generate(
    model: dict[str, Any],
    checkpoint: Path,
    settings: dict[str, Any],
    out: Path,
    rank: int = 0,
    world: int = 1,
    device: str | None = None,
    data_fingerprint: str | None = None,
    score: bool = True,
) -> Made:
    """Write one palette PNG per tile and map name, and a manifest at the end.

    Where the rule names ``extras``, each is written beside the mask, before it:
    ``<map>.<extra>/<stem>.npy``.

    Classes are gated by the image-level label where the split carries one in its file names
    (training), and by the classifier elsewhere. Masks already in ``out`` are kept if they were
    made with the same checkpoint, data and settings.

    Args:
        model: Config of the classifier.
        checkpoint: Its parameters.
        settings: ``maps``, ``rule`` and ``dataloader`` (``batch_size``, ``num_workers``, ``dataset``).
        out: Folder to write to.
        rank: Which process of how many this is; each takes every ``world``-th tile.
        world: Number of processes.
        device: Device to run on; None: a GPU where there is one.
        data_fingerprint: Fingerprint of the tiles, if it is known; None: they are read for it.
        score: Measure the masks against the split's dense masks, if it has any.

    Raises:
        ArmlError: If ``out`` holds masks made otherwise.
        CheckpointError: If the checkpoint is not this classifier's, or of other classes or another
            normalisation than the config's.
        ConfigError: If the rule gives other extras than it names, or there is no such device.
    """
    where = device_of(device)
    loader = copy.deepcopy(dict(settings['dataloader']))
    dataset = DATASETS.build(loader['dataset'])
    info = dataset.metainfo
    card = {
        'checkpoint_sha256': file_sha256(checkpoint),
        'data_fingerprint': data_fingerprint
        or fingerprint(dataset.files(), Path(dataset.data_root)),
        'model': _plain(model),
        'maps': _plain(settings['maps']),
        'rule': _plain(settings['rule']),
        'dataset': _plain({k: v for k, v in loader['dataset'].items() if k not in PLACES}),
        'split': dataset.split,
        'presence': 'image-level label' if dataset.split == 'train' else 'classifier',
        'format': 1,
    }
    _refuse_others(out, card)
    maps = MAPS.build(copy.deepcopy(settings['maps']))
    rule = MASK_RULES.build(copy.deepcopy(settings['rule']))
    names, extras = list(maps.names), extras_of(rule)
    stems = [Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))]
    mine = range(rank, len(dataset), world)
    todo = [i for i in mine if not all(f.is_file() for f in _files(out, stems[i], names, extras))]
    progress = Progress(f'pseudo masks in {out}', len(mine), done=len(mine) - len(todo))
    # Before anything is written: a wrong checkpoint leaves no trace in ``out``.
    classifier = _classifier(model, checkpoint, where, info['classes']) if todo else None
    barrier()
    if rank == 0:
        write_json(out / CLAIM, card)
    barrier()
    if todo:
        palette = [*info['palette'], info.get('background_color') or (255, 255, 255)]
        batches = DataLoader(
            Subset(dataset, todo),
            batch_size=loader.get('batch_size', 1),
            num_workers=loader.get('num_workers', 0),
            collate_fn=pseudo_collate,
        )
        for batch in batches:
            for stem, name, made in _masks_of(classifier, batch, maps, rule, dataset.split):
                _check_extras(rule, made.extras, extras)
                for extra, values in made.extras.items():
                    write_extra(out / f'{name}.{extra}' / f'{stem}.npy', values)
                write_mask(out / name / f'{stem}.png', made.mask, palette)
            progress.add(len(batch['inputs']))
    barrier()

    made = Made(
        masks=names,
        tiles=len(dataset),
        extras=extra_names(names, extras),
    )
    if rank == 0:
        if score:
            try:
                made.scores = score_masks(dataset, {name: out / name for name in names})
            except DataError as error:
                made.unscored = str(error)
        write_json(
            out / MANIFEST,
            {**card, 'tiles': len(dataset), 'names': made.names, 'scores': made.scores},
        )
        (out / CLAIM).unlink()
    return made


def _masks_of(classifier, batch: dict, maps, rule, split: str):
    data = classifier.data_preprocessor(batch, False)
    inputs, samples = data['inputs'], data['data_samples']
    features = None
    if split == 'train':
        present = torch.tensor([sample.metainfo['image_label'] for sample in samples]).bool()
    else:
        with torch.no_grad():
            features = classifier.extract_feat(inputs)
            present = classifier.presence(inputs, features=features).cpu()
    found = maps(classifier, inputs, features=features, present=present)
    for index, sample in enumerate(samples):
        path = Path(sample.img_path)
        image = np.ascontiguousarray(decode_tile(path)[..., ::-1])  # BGR to RGB
        for name, values in found.items():
            full = F.interpolate(
                values[index : index + 1].float(),
                size=image.shape[:2],
                mode='bilinear',
                align_corners=False,
            )[0]
            yield path.stem, name, rule(full, present[index].to(full.device), image)


def extra_names(names: list[str], extras: tuple[str, ...]) -> list[str]:
    """The folders of arrays beside those of masks: ``<map>.<extra>``."""
    return [f'{name}.{extra}' for name in names for extra in extras]


def extras_of(rule: Any) -> tuple[str, ...]:
    """What a rule says that it gives beside a mask.

    Raises:
        ConfigError: If a name cannot be part of a folder's.
    """
    names = tuple(getattr(rule, 'extras', ()))
    wrong = [name for name in names if not str(name).isidentifier()]
    if wrong:
        raise ConfigError(
            f'{type(rule).__name__}.extras: found {wrong[0]!r}, expected names of letters, digits and _.'
        )
    return names


def _check_extras(rule, given: dict[str, np.ndarray], named: tuple[str, ...]) -> None:
    if set(given) != set(named):
        raise ConfigError(
            f'{type(rule).__name__}: its mask carries the extras {sorted(given)}, expected those '
            f'that its class attribute names, {sorted(named)}.'
        )


def _files(out: Path, stem: str, names: list[str], extras: tuple[str, ...]) -> list[Path]:
    """All that is made of one tile."""
    masks = [out / name / f'{stem}.png' for name in names]
    return masks + [out / name / f'{stem}.npy' for name in extra_names(names, extras)]


def _classifier(
    model: dict[str, Any], checkpoint: Path, device: torch.device, classes: Sequence[str]
):
    content = checkpoints.load(checkpoint)
    check_card(card_in(content), classes, model.get('data_preprocessor'), checkpoint)
    return checkpoints.trained_model(model, content, checkpoint).to(device)


def _refuse_others(out: Path, card: dict[str, Any]) -> None:
    """Refuse a folder that holds something else than what ``card`` says.

    A claim beside which nothing was made yet binds nobody.
    """
    claim, finished = out / CLAIM, out / MANIFEST
    made = any(
        not file.name.startswith('.')  # what a killed process was about to write
        for file in itertools.chain(out.glob('*/*.png'), out.glob('*/*.npy'))
    )
    if made and not finished.is_file() and not claim.is_file():
        raise ArmlError(
            f'{out}: holds pictures that were not made here (no {MANIFEST} in it); they would be taken '
            'for masks. Give another --out.'
        )
    for known in (finished, claim):
        if known.is_file() and (made or known is finished):
            try:
                held = dict(json.loads(known.read_text()))
            except (ValueError, TypeError) as error:
                raise ArmlError(
                    f'{known}: is no manifest ({error}). Give another --out, or remove the folder.'
                ) from error
            changed = [key for key in card if held.get(key) != card[key]]
            if changed:
                raise ArmlError(
                    f'{out}: holds pseudo masks made with another {", ".join(changed)}. Give another '
                    '--out, or remove the folder.'
                )


def score_masks(dataset: Any, folders: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Score masks against the dense masks of their split (protocol A); nothing is chosen by it.

    Args:
        dataset: The tiles.
        folders: Folders of masks ``<stem>.png``, by name.

    Returns:
        The scores of each folder; empty where the split has no dense masks.

    Raises:
        DataError: If a mask is missing, unreadable or of another size (names the first one), or no
            pixel is tissue.
    """
    truths = dataset.paths().masks
    if truths is None:
        return {}
    classes = dataset.metainfo['classes']
    background = len(classes)
    totals = {name: np.zeros((background + 1,) * 2, dtype=np.int64) for name in folders}
    for index in range(len(dataset)):
        file = Path(dataset.get_data_info(index)['img_path']).with_suffix('.png').name
        truth = read_mask(truths / file)
        truth[truth >= background] = 255
        for name, folder in folders.items():
            # Background on tissue is a miss: it stays in the row and in no tissue's column.
            mask = np.minimum(read_mask(folder / file), background)
            if mask.shape != truth.shape:
                raise DataError(
                    f'mask {truths / file}: found {truth.shape[1]}x{truth.shape[0]} pixels, expected '
                    f'{mask.shape[1]}x{mask.shape[0]} as {folder / file}.'
                )
            totals[name] += confusion_matrix(mask, truth, background + 1)
    if not all(matrix.any() for matrix in totals.values()):
        raise DataError(f'{truths}: no pixel of its masks is tissue; expected 0..{background - 1}.')
    return {name: protocol_metrics(matrix, classes, 'A') for name, matrix in totals.items()}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
