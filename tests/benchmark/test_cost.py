"""What methods cost, of short runs of the real stages."""

from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from tiny_run import CONFIG
from torch import nn

from arml.benchmark import run_benchmark
from arml.benchmark.cost import _run
from arml.benchmark.cost_run import _hook, bytes_of, parameters_of, shortened
from arml.benchmark.harness import MB, Harness
from arml.config import load_config
from arml.errors import ArmlError, ConfigError
from arml.methods.mlps.frozen import Frozen
from arml.pipeline.run import build_stages

#: All that can be run on the small real set.
TINY = sorted(
    file
    for file in (ROOT / 'configs').glob('**/*_tiny_ebhi.py')
    if not file.stem.startswith('table1')
)


def short_options(full):
    return shortened(full, {stage.name: stage for stage in build_stages(full)})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_cost__of_all_results_of_a_config(fake_tissue):
    options = {'data_root': str(fake_tissue), 'train_cfg.max_epochs': 30}
    harness = Harness(repeats=2, warmup=0, threads=1)
    report = run_benchmark('cost', harness, {'configs': [str(CONFIG)], 'cfg_options': options})
    maps, segmentor = report.costs
    assert (maps['row'], maps['stage']) == ('raw CAM', 'cam_test')
    assert (segmentor['row'], segmentor['stage']) == ('ARML', 'test')
    assert maps['parameters'] > 1000
    assert segmentor['parameters'] > 2 * maps['parameters']  # three networks
    assert segmentor['training_seconds'] > maps['training_seconds'] > 0
    stages = segmentor['stages']
    assert set(stages) == {'classifier', 'pseudo_masks', 'segmentor'}
    assert (
        stages['segmentor'] > stages['classifier']
    )  # 30 epochs of three networks against 3 of one
    low, high = segmentor['training_range']
    assert low <= segmentor['training_seconds'] <= high
    assert all(line['memory'] > 0 and line['flops'] > 0 for line in report.costs)
    assert '| ARML' in report.table()


def test_cost__a_frozen_network_counts_and_a_shared_one_once():
    model = nn.ModuleDict({'own': nn.Linear(3, 2), 'gate': Frozen(nn.Linear(5, 1, bias=False))})
    model['again'] = model['own']
    assert parameters_of(model) == 3 * 2 + 2 + 5
    assert bytes_of(model) == 4 * (3 * 2 + 2 + 5)


def test_cost__peak_memory_is_that_of_the_weights_and_what_the_training_adds():
    """On a GPU all that torch allocates, weights included; so on a CPU, too."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    kept = torch.ones(8 * MB, device=device)  # there before, and no part of it
    model = nn.Linear(4096, 4096, bias=False, device=device)  # 64 MB
    watch = SimpleNamespace(seconds={}, steps={}, memory={})
    hook = _hook(watch, 'segmentor')
    hook.before_train(SimpleNamespace(model=model))
    added = torch.ones(8 * MB, device=device)  # 32 MB
    del added
    hook.after_train(SimpleNamespace(model=model))
    assert watch.memory['segmentor'] == pytest.approx(64 + 32, abs=4)
    assert kept.numel() == 8 * MB


@pytest.mark.parametrize(
    ('name', 'part'),
    [('mlps/mlps_tiny_ebhi.py', 'attention'), ('arml_released_tiny_ebhi.py', 'neck')],
)
def test_cost__what_joins_a_training_later_is_measured(name, part):
    file = ROOT / 'configs' / name
    full = load_config(file, for_run=True)
    assert full.classifier.model[part].start_epoch > 0
    cut = load_config(file, short_options(full), for_run=True)
    assert (cut.classifier.model[part].start_epoch, cut.classifier.train_cfg.max_epochs) == (0, 2)


@pytest.mark.parametrize('file', TINY, ids=lambda file: file.stem)
def test_cost__cuts_the_trainings_of_every_config(file):
    full = load_config(file, for_run=True)
    cut = load_config(file, short_options(full), for_run=True)
    trained = [
        section for section in (cut, cut.get('classifier') or {}) if section.get('train_cfg')
    ]
    assert trained
    for section in trained:
        assert section.train_cfg.max_epochs == section.train_cfg.val_interval == 2


@pytest.mark.parametrize(
    ('device', 'seen', 'expected'),
    [('cpu', None, ''), ('cuda', '3,5', '3,5'), ('cuda:1', None, '1'), ('cuda:1', '3, 5', '5')],
)
def test_cost__its_processes_see_the_device_that_is_asked_for(device, seen, expected, monkeypatch):
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if seen is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', seen)
    found = {}

    def run(command, env, **more):
        found.update(env)
        return SimpleNamespace(returncode=0, stdout='{}')

    monkeypatch.setattr('arml.benchmark.cost.subprocess.run', run)
    _run('x.py', {}, Harness(device=torch.device(device), threads=1))
    assert found['CUDA_VISIBLE_DEVICES'] == expected
    assert found['OMP_NUM_THREADS'] == '1'


def test_cost__a_wrong_config_is_refused_before_anything_runs():
    with pytest.raises(ConfigError, match='no such file'):
        run_benchmark('cost', Harness(), {'configs': [str(CONFIG), 'none.py']})


def test_cost__a_run_that_fails_shows_its_last_lines(tmp_path):
    with pytest.raises(ArmlError, match='nowhere'):
        run_benchmark(
            'cost', Harness(repeats=1, threads=1),
            {'configs': [str(CONFIG)], 'cfg_options': {'data_root': str(tmp_path / 'nowhere')}},
        )  # fmt: skip
