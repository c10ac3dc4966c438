"""What methods cost, of short runs of the real stages."""

import pytest
from tiny_run import CONFIG

from arml.benchmark import run_benchmark
from arml.benchmark.harness import Harness
from arml.errors import ArmlError, ConfigError


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


def test_cost__a_wrong_config_is_refused_before_anything_runs():
    with pytest.raises(ConfigError, match='no such file'):
        run_benchmark('cost', Harness(), {'configs': [str(CONFIG), 'none.py']})


def test_cost__a_run_that_fails_shows_its_last_lines(tmp_path):
    with pytest.raises(ArmlError, match='nowhere'):
        run_benchmark(
            'cost', Harness(repeats=1, threads=1),
            {'configs': [str(CONFIG)], 'cfg_options': {'data_root': str(tmp_path / 'nowhere')}},
        )  # fmt: skip
