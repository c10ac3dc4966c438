"""A run killed at every awkward moment ends as the uninterrupted one, bit for bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name('killed_run.py')
MOMENTS = [
    'in the second epoch of the classifier',
    'between training and validation of the classifier',
    'in the pseudo masks',
    'between training and validation of the segmentor',
    'after the best, before the state',
    'before the product',
]


def run(
    moment: str, folder: Path, config: Path, data: Path, *options: str
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            sys.executable, str(SCRIPT), moment, '--', str(config), '--resume',
            '--work-dir', str(folder / 'work'),
            '--cfg-options', f'data_root={data}', f'store={folder / "store"}', *options,
        ],
        env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def outcome(folder: Path) -> dict:
    """Everything that must agree: losses, metrics, parameters, choice of the best, masks."""
    work = folder / 'work'
    result = json.loads((work / 'result.json').read_text())
    found = {'rows': result['rows'], 'keys': {k: v['key'] for k, v in result['stages'].items()}}
    for stage in ('classifier', 'segmentor'):
        found[f'{stage} history'] = (work / stage / 'history.jsonl').read_text()
        checkpoint = torch.load(work / stage / 'checkpoint.pth', weights_only=True)
        found[f'{stage} best'] = checkpoint['meta']['best']
        found[f'{stage} parameters'] = {
            name: value.numpy().tobytes() for name, value in checkpoint['state_dict'].items()
        }
    masks = (work / 'pseudo_masks' / 'final').glob('*.png')
    found['masks'] = {mask.name: mask.read_bytes() for mask in masks}
    return found


@pytest.mark.timeout(1200)
def test_resume__killed_everywhere_ends_as_uninterrupted(tmp_path, fake_tissue, pipeline_config):
    # The uninterrupted run loads data in the main process, the killed one with a worker that lives on:
    # neither may matter.
    workers = (
        'classifier.train_dataloader.num_workers=1', 'train_dataloader.num_workers=1',
        'train_dataloader.persistent_workers=True',
    )  # fmt: skip
    whole = run('never', tmp_path / 'whole', pipeline_config, fake_tissue)
    assert whole.returncode == 0, whole.stderr[-3000:]
    for moment in MOMENTS:
        killed = run(moment, tmp_path / 'killed', pipeline_config, fake_tissue, *workers)
        assert killed.returncode == -signal.SIGKILL, f'{moment}: {killed.stderr[-3000:]}'
        assert not (tmp_path / 'killed' / 'work' / 'result.json').exists()
    last = run('never', tmp_path / 'killed', pipeline_config, fake_tissue, *workers)
    assert last.returncode == 0, last.stderr[-3000:]
    assert 'resumed epoch' in last.stderr + last.stdout
    expected, found = outcome(tmp_path / 'whole'), outcome(tmp_path / 'killed')
    assert expected.keys() == found.keys()
    for part in expected:
        assert found[part] == expected[part], part
    assert len(expected['masks']) == 12
    # Nothing of the training states is left once the product is whole.
    assert not list((tmp_path / 'killed').rglob('epoch_*.pth'))
