"""Masks of all tiles of a split from a trained classifier: batched, atomic, resumable."""

import copy
import json
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
from arml.errors import ArmlError, ConfigError
from arml.evaluation.confusion import confusion_matrix, protocol_metrics
from arml.progress import Progress
from arml.pseudo.io import read_mask, write_extra, write_mask
from arml.registry import DATASETS, MAPS, MASK_RULES, MODELS

MANIFEST = 'manifest.json'
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
        scores: On rank 0, per map name the scores against dense masks (protocol A), if the split
            has any. They are measured only; nothing is chosen by them.
    """

    masks: list[str]
    tiles: int
    extras: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All folders that were made."""
        return [*self.masks, *self.extras]


def generate(
    model: dict[str, Any],
    checkpoint: Path,
    settings: dict[str, Any],
    out: Path,
    rank: int = 0,
    world: int = 1,
    device: str | None = None,
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

    Raises:
        ArmlError: If ``out`` holds masks made otherwise.
        CheckpointError: If the checkpoint is not this classifier's.
        ConfigError: If the rule gives other extras than it names, or there is no such device.
    """
    where = device_of(device)
    loader = copy.deepcopy(dict(settings['dataloader']))
    dataset = DATASETS.build(loader['dataset'])
    info = dataset.metainfo
    card = {
        'checkpoint_sha256': file_sha256(checkpoint),
        'data_fingerprint': fingerprint(dataset.files(), Path(dataset.data_root)),
        'model': _plain(model),
        'maps': _plain(settings['maps']),
        'rule': _plain(settings['rule']),
        'dataset': _plain({k: v for k, v in loader['dataset'].items() if k not in PLACES}),
        'split': dataset.split,
        'presence': 'image-level label' if dataset.split == 'train' else 'classifier',
        'format': 1,
    }
    if rank == 0:
        _claim(out, card)
    barrier()

    maps = MAPS.build(copy.deepcopy(settings['maps']))
    rule = MASK_RULES.build(copy.deepcopy(settings['rule']))
    names, extras = list(maps.names), extras_of(rule)
    stems = [Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))]
    mine = range(rank, len(dataset), world)
    todo = [i for i in mine if not all(f.is_file() for f in _files(out, stems[i], names, extras))]
    progress = Progress(f'pseudo masks in {out}', len(mine), done=len(mine) - len(todo))
    if todo:
        classifier = _classifier(model, checkpoint, where)
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
        made.scores = _score(dataset, out, names, stems)
        write_json(
            out / MANIFEST,
            {**card, 'tiles': len(dataset), 'names': made.names, 'scores': made.scores},
        )
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


def _classifier(model: dict[str, Any], checkpoint: Path, device: torch.device):
    settings = copy.deepcopy(dict(model))
    classifier = MODELS.build(settings)
    checkpoints.load_into(classifier, checkpoints.load(checkpoint), checkpoint)
    return classifier.to(device).eval()


def _claim(out: Path, card: dict[str, Any]) -> None:
    """Note in ``out`` what is made there; refuse a folder that holds something else."""
    file = out / 'in_progress.json'
    finished = out / MANIFEST
    if not finished.is_file() and not file.is_file() and any(out.glob('*/*.png')):
        raise ArmlError(
            f'{out}: holds pictures that were not made here (no {MANIFEST} in it); they would be taken '
            'for masks. Give another --out.'
        )
    for known in (finished, file):
        if known.is_file():
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
    write_json(file, card)


def _score(dataset, out: Path, names: list[str], stems: list[str]) -> dict[str, dict[str, float]]:
    folder = dataset.paths().masks
    if folder is None:
        return {}
    classes = dataset.metainfo['classes']
    background = len(classes)
    totals = {name: np.zeros((background + 1,) * 2, dtype=np.int64) for name in names}
    for stem in stems:
        truth = read_mask(folder / f'{stem}.png')
        truth[truth >= background] = 255
        for name in names:
            # Background on tissue is a miss: it stays in the row and in no tissue's column.
            mask = np.minimum(read_mask(out / name / f'{stem}.png'), background)
            totals[name] += confusion_matrix(mask, truth, background + 1)
    return {name: protocol_metrics(matrix, classes, 'A') for name, matrix in totals.items()}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
