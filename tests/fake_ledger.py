"""Ledgers as tools/sweep.py writes them, with scores that a test chooses, and work dirs to match."""

import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from arml.report.sweep_cells import SEED, SweepRuns, entries_of

CLASSES = ['TUM', 'STR', 'LYM', 'NEC']
PALETTE = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [153, 0, 255]]
#: Twelve runs: four values of omega, three seeds each; mIoU.
SCORES = {
    'none': [60.0, 61.0, 62.0], 1: [61.0, 62.5, 62.0], 2: [66.0, 66.5, 67.5], 'drop': [61.5, 61.0, 63.5],
}  # fmt: skip


def metrics(miou, protocol_b=False, classes=CLASSES):
    """Scores around an mIoU; per class -3, -1, 1, 3 around it."""
    found = {'mIoU': miou, 'mDice': miou + 12, 'ACC': miou + 15, 'FwIoU': miou + 2}
    shifts = np.linspace(-3, 3, len(classes))
    found |= {f'IoU.{name}': miou + shift for name, shift in zip(classes, shifts, strict=True)}
    if protocol_b:
        found |= {f'B.{name}': value - 4 for name, value in found.items()}
    return found


def finished(parameters, miou, run, *, dataset='synthetic', classes=CLASSES, **more):
    """A finished line."""
    seed = parameters.get(SEED, 0)
    line = {
        'sweep': 'tiny', 'config': 'arml_tiny', 'run': run, 'parameters': parameters, 'fixed': [],
        'seed': seed, 'finished_at': f'2026-11-24T10:0{seed}:00+0000', 'seconds': 30.0,
        'attempt': 1, 'status': 'finished', 'commit': 'abcdef0123', 'versions': {'torch': '2.13.0'},
        'machine': 'Linux', 'processor': 'A, AVX512', 'threads': 1, 'gpu': None,
        'dataset': dataset, 'classes': classes, 'data': {'segmentor': {'train_dataloader': 'aa'}},
        'rows': [
            {'name': 'raw CAM', 'split': 'test', 'metrics': metrics(miou - 5, classes=classes)},
            {
                'name': 'ARML', 'split': 'test',
                'metrics': metrics(miou, protocol_b=True, classes=classes),
            },
        ],
        'validation': {'segmentor': {'metric': 'mIoU', 'value': miou + 1, 'epoch': 3}},
        'stages': {}, 'histories': {},
    }  # fmt: skip
    return {**line, **more}


def failed(parameters, run, log=('Traceback', 'RuntimeError: out of memory'), **more):
    """A failed line."""
    return {
        'sweep': 'tiny', 'config': 'arml_tiny', 'run': run, 'parameters': parameters, 'fixed': [],
        'seed': parameters.get(SEED), 'finished_at': '2026-11-24T10:09:00+0000', 'seconds': 3.0,
        'status': 'failed', 'exit': 1, 'log': list(log), **more,
    }  # fmt: skip


def omega_cells(scores=SCORES, name='omega'):
    """Values and run of each cell of an omega sweep."""
    return [
        ({name: value, SEED: seed}, f'{value}-{seed}')
        for value, found in scores.items()
        for seed in range(len(found))
    ]


def omega_lines(scores=SCORES, name='omega', **more):
    """A finished line for each of them; None in the place of a score leaves it out."""
    return [
        finished({name: value, SEED: seed}, score, f'{value}-{seed}', **more)
        for value, found in scores.items()
        for seed, score in enumerate(found)
        if score is not None
    ]


def runs_of(cells, lines, **more):
    """A sweep from its cells and the lines of its ledger."""
    given = {
        'name': 'tiny', 'config': 'arml_tiny', 'tag': None, 'method': 'grid', 'metric': 'test/mIoU',
        'goal': 'maximize', **more,
    }  # fmt: skip
    return SweepRuns(entries=entries_of(cells, lines), **given)


def omega_runs(scores=SCORES, lines=None, **more):
    """An omega sweep with all its runs, or with the given lines."""
    return runs_of(omega_cells(scores), omega_lines(scores) if lines is None else lines, **more)


def write_work(folder: Path, line, classifier: str, epochs: int = 6) -> None:
    """Make the work dir of a finished line, and name it there: histories, example tiles, result."""
    rng = np.random.default_rng(zlib.crc32(line['run'].encode()))
    score = line['rows'][-1]['metrics']['mIoU']
    line['work_dir'] = str(folder)
    line['histories'] = {name: f'{name}/history.jsonl' for name in ('classifier', 'segmentor')}
    line['stages'] = {'classifier': {'key': classifier}, 'segmentor': {'key': line['run']}}
    for stage in line['histories']:
        rows = []
        for epoch in range(1, epochs + 1):
            loss = 3 * np.exp(-epoch / 3) + 0.1 * rng.random()
            rows.append({'epoch': epoch, 'iter': 10 * epoch, 'kind': 'train', 'loss': loss})
            value = score * (1 - np.exp(-epoch / 2)) + rng.normal()
            rows.append({'epoch': epoch, 'iter': 10 * epoch, 'kind': 'val', 'mIoU': value})
        (folder / stage).mkdir(parents=True)
        text = ''.join(json.dumps(row) + '\n' for row in rows)
        (folder / stage / 'history.jsonl').write_text(text)
    examples = folder / 'test' / 'examples'
    examples.mkdir(parents=True)
    for stem in ('a', 'b'):
        truth = np.zeros((32, 32), np.uint8)
        truth[:, 16:] = 1 + (stem == 'b')
        truth[:4] = 4
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(
            examples / f'{stem}.tile.png'
        )
        for kind, mask in (('truth', truth), ('prediction', np.roll(truth % 4, 5, axis=1))):
            picture = Image.fromarray(mask, mode='P')
            picture.putpalette([int(v) for colour in PALETTE for v in colour])
            picture.save(examples / f'{stem}.{kind}.png')
    (examples / 'examples.json').write_text('["a", "b"]')
    result = {'classes': line['classes'], 'palette': PALETTE, 'rows': line['rows']}
    (folder / 'result.json').write_text(json.dumps(result))
