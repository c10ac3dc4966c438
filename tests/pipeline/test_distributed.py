"""Two processes on the CPU run all stages together."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@pytest.mark.timeout(900)
def test_torchrun__two_gloo_processes_train_all_stages(tmp_path, fake_tissue, pipeline_config):
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2',
        f'--master_port={free_port()}', str(ROOT / 'tools' / 'train.py'), str(pipeline_config),
        '--launcher', 'pytorch', '--work-dir', str(tmp_path / 'work'),
        '--cfg-options', f'data_root={fake_tissue}', f'store={tmp_path / "store"}',
        'classifier.train_cfg.max_epochs=1', 'train_cfg.max_epochs=1',
        'train_dataloader.batch_size=2', 'classifier.train_dataloader.batch_size=2',
    ]  # fmt: skip
    done = subprocess.run(
        command,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads((tmp_path / 'work' / 'result.json').read_text())
    assert {row['name'] for row in result['rows']} >= {'raw CAM', 'ARML'}
    # Each tile has its mask once, and both processes' validation tiles are in the metric.
    assert len(list((tmp_path / 'work' / 'pseudo_masks' / 'final').glob('*.png'))) == 12
    assert done.stdout.count('Protocol A') == 1
    history = (tmp_path / 'work' / 'segmentor' / 'history.jsonl').read_text().splitlines()
    # 12 tiles in batches of 2 on 2 processes: 3 steps an epoch.
    assert [json.loads(row)['iter'] for row in history] == [3, 3]
