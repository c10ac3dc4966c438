"""Two processes put their results together and leave nothing behind."""

import os
import subprocess
import sys

import pytest

from arml.evaluation import collecting
from arml.evaluation.image_label import ImageLabelMetric

CODE = """
import os
import sys
import tempfile
import torch.distributed as dist
import torch.multiprocessing as mp
import arml
from arml.evaluation import ImageLabelMetric

def work(rank, file):
    dist.init_process_group('gloo', init_method=f'file://{file}', rank=rank, world_size=2)
    metric = ImageLabelMetric()
    for _ in range(2):  # the folder of the first time is gone
        score = 0.9 if rank == 0 else 0.1
        metric.process({}, [{'pred_scores': [score], 'image_label': [1]}] * 2)
        found = metric.evaluate(4)
        assert found['label_accuracy'] == 50, found
    assert metric.collect_dir is None
    dist.destroy_process_group()

if __name__ == '__main__':
    mp.spawn(work, (sys.argv[1],), nprocs=2)
"""


def test_evaluate__two_processes_leave_no_folder(tmp_path):
    here, temporary = tmp_path / 'here', tmp_path / 'temporary'
    here.mkdir()
    temporary.mkdir()
    (tmp_path / 'code.py').write_text(CODE)
    command = [sys.executable, str(tmp_path / 'code.py'), str(tmp_path / 'meet')]
    env = {**os.environ, 'TMPDIR': str(temporary), 'OMP_NUM_THREADS': '1'}
    env.pop('LOCAL_WORLD_SIZE', None)
    done = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(here.iterdir()) == []
    assert not list(temporary.glob('arml-test-*'))


@pytest.mark.parametrize(
    ('local', 'given', 'used'), [('2', None, 'made'), ('1', None, None), ('2', 'mine', 'mine')]
)
def test_evaluate__where_the_processes_meet(monkeypatch, local, given, used):
    """On several machines, or where a folder is asked for, there is no temporary one."""
    seen = []
    monkeypatch.setenv('LOCAL_WORLD_SIZE', local)
    monkeypatch.setattr(collecting, 'get_world_size', lambda: 2)
    monkeypatch.setattr(collecting.tempfile, 'mkdtemp', lambda prefix: 'made')
    base = collecting.BaseMetric
    monkeypatch.setattr(base, 'evaluate', lambda self, size: seen.append(self.collect_dir) or {})
    metric = ImageLabelMetric()
    metric.collect_dir = given
    assert metric.evaluate(4) == {}
    assert seen == [used]
    assert metric.collect_dir == given
