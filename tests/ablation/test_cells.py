"""The cells of a sweep: valid overrides, known by their keys."""

import copy
import functools

import pytest
from conftest import ROOT
from mmengine.config import Config
from tiny_run import CONFIG

from arml.ablation import Cell, Sweep, cells_of, read_sweep, rows_of
from arml.errors import ArmlError, ConfigError

DEVIATIONS = Config.fromfile(ROOT / 'configs/_base_/choices/deviations_tiny.py').choices.deviation


@pytest.fixture
def fixed(fake_tissue, tmp_path):
    return [f'data_root={fake_tissue}', f'store={tmp_path / "store"}']


@pytest.fixture
def read_once(monkeypatch):
    """Read a config file once instead of for each cell: the reading takes most of the time."""
    read = functools.cache(Config.fromfile)
    monkeypatch.setattr(Config, 'fromfile', lambda path: copy.deepcopy(read(path)))


def grid(**parameters):
    named = {name.replace('__', '.'): values for name, values in parameters.items()}
    return Sweep('two', CONFIG, named, ROOT / 'tools' / 'train.py')


@pytest.mark.parametrize('data', ['ebhi', 'synthetic'])
def test_shipped__deviations_are_26_by_3_different_runs(data, fixed, read_once):
    sweep = read_sweep(ROOT / 'sweeps' / f'deviations_tiny_{data}.yaml')
    assert sweep.parameters['deviation'] == list(DEVIATIONS)
    cells = cells_of(sweep, fixed)
    assert len(cells) == len({cell.run for cell in cells}) == 26 * 3
    assert not any(cell.equal for cell in cells)
    assert [cell.parameters['randomness.seed'] for cell in cells[:4]] == [0, 1, 2, 0]


def test_cells_of__equal_cells_are_one(fixed):
    cells = cells_of(grid(model__srm__beta=[1, 1.0, 2], randomness__seed=[0]), fixed)
    assert [cell.parameters['model.srm.beta'] for cell in cells] == [1, 2]
    assert cells[0].options == ['model.srm.beta=1', 'randomness.seed=0']
    assert cells[0].equal == ({'model.srm.beta': 1.0, 'randomness.seed': 0},)
    assert cells[0].title == (
        'model.srm.beta=1, randomness.seed=0 = model.srm.beta=1.0, randomness.seed=0'
    )
    found = {cells[0].run: {'run': cells[0].run, 'rows': []}, 'stranger': {}}
    assert rows_of(cells, found) == [
        {**found[cells[0].run], 'parameters': cells[0].parameters},
        {**found[cells[0].run], 'parameters': cells[0].equal[0]},
    ]


def test_cells_of__keys_are_those_of_the_run(fixed):
    """The place of data and store does not matter, what else is fixed does."""
    sweep = grid(randomness__seed=[0])
    (cell,) = cells_of(sweep, fixed)
    (moved,) = cells_of(sweep, [fixed[0], f'{fixed[1]}2'])
    (other,) = cells_of(sweep, [*fixed, 'model.srm.beta=7'])
    assert cell == moved == Cell({'randomness.seed': 0}, cell.run)
    assert other.run != cell.run


def test_cells_of__raises(fixed, tmp_path):
    with pytest.raises(
        ConfigError, match=r'sweep two, cell modle\.x=1: override modle\.x: there is'
    ):
        cells_of(grid(modle__x=[1]), fixed)
    with pytest.raises(
        ConfigError, match=r'deviation=False: deviation: found False.*YAML reads on'
    ):
        cells_of(grid(deviation=[False]), fixed)
    with pytest.raises(
        ConfigError, match=r'--cfg-options: model\.srm\.beta is varied by the sweep two'
    ):
        cells_of(grid(model__srm__beta=[1]), [*fixed, 'model.srm.beta=2'])
    with pytest.raises(ConfigError, match='expected KEY=VALUE'):
        cells_of(grid(model__srm__beta=[1]), ['data_root'])
    with pytest.raises(ArmlError, match='nowhere'):
        cells_of(grid(model__srm__beta=[1]), [f'data_root={tmp_path / "nowhere"}'])
