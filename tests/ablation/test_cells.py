"""The cells of a sweep: valid overrides, known by their keys."""

import pytest
from conftest import ROOT
from tiny_run import CONFIG

from arml.ablation import Cell, Distribution, Sweep, cell_of, cells_of, rows_of
from arml.config import load_config
from arml.errors import ArmlError, ConfigError
from arml.pipeline.keys import digest
from arml.pipeline.run import build_stages, make_plan
from arml.pipeline.store import Store


@pytest.fixture
def fixed(fake_tissue, tmp_path):
    return [f'data_root={fake_tissue}', f'store={tmp_path / "store"}']


def grid(**parameters):
    named = {name.replace('__', '.'): values for name, values in parameters.items()}
    program = ROOT / 'tools' / 'train.py'
    return Sweep(name='two', path=ROOT, config=CONFIG, program=program, parameters=named)


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
    """The place of data and store does not matter, nor who follows the run; what else is fixed does."""
    sweep = grid(randomness__seed=[0])
    (cell,) = cells_of(sweep, fixed)
    (moved,) = cells_of(sweep, [fixed[0], f'{fixed[1]}2', 'tracking=tensorboard'])
    (other,) = cells_of(sweep, [*fixed, 'model.srm.beta=7'])
    assert cell == moved == Cell({'randomness.seed': 0}, cell.run)
    assert other.run != cell.run
    config = load_config(CONFIG, dict(option.split('=') for option in fixed), for_run=True)
    plan = make_plan(build_stages(config), Store(config.store))
    assert cell.stages == {item.stage.name: item.key for item in plan}
    assert cell.run == digest([item.key for item in plan], 12)


def test_cells_of__share_what_their_values_do_not_touch(fixed):
    cells = cells_of(grid(omega=['none', 2], randomness__seed=[0, 1]), fixed)
    assert len({cell.stages['classifier'] for cell in cells}) == 2
    assert len({cell.stages['pseudo_masks'] for cell in cells}) == 2
    assert len({cell.stages['segmentor'] for cell in cells}) == len(cells) == 4


def test_cells_of__sees_data_that_has_changed_since(fixed, fake_tissue):
    sweep = grid(randomness__seed=[0])
    (before,) = cells_of(sweep, fixed)
    tile = next((fake_tissue / 'val' / 'img').iterdir())
    tile.write_bytes(next((fake_tissue / 'test' / 'img').iterdir()).read_bytes())
    (after,) = cells_of(sweep, fixed)
    assert after.run != before.run


def test_cell_of__is_the_cell_of_the_grid(fixed):
    sweep = grid(omega=['none', 2], randomness__seed=[0, 1])
    for cell in cells_of(sweep, fixed):
        assert cell_of(sweep, cell.parameters, fixed) == cell
        assert cell_of(sweep, cell.parameters, fixed).stages == cell.stages


def test_cell_of__a_search(fixed):
    space = {'model.lambda_': Distribution('float', 0.0, 1.0)}
    sweep = Sweep(
        name='s', path=ROOT, config=CONFIG, program=ROOT, method='bayes', space=space, run_cap=2
    )
    cell = cell_of(sweep, {'model.lambda_': 0.123}, fixed)
    assert cell.options == ['model.lambda_=0.123']
    with pytest.raises(ConfigError, match='--cfg-options: model.lambda_ is varied by the sweep s'):
        cell_of(sweep, {'model.lambda_': 0.1}, [*fixed, 'model.lambda_=0.2'])
    with pytest.raises(ConfigError, match='only a grid knows its cells before it runs'):
        cells_of(sweep, fixed)


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
    with pytest.raises(ConfigError, match='components=ars sets .* omega=2 sets .* Choose one'):
        cells_of(grid(components=['ars'], omega=[2]), fixed)
