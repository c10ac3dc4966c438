"""Mean and spread over seeds."""

import math

import numpy as np
import pytest

from arml.errors import DataError
from arml.report.seeds import aggregate, collect, seeds_table


def result(seed: int, value: float, **changed) -> dict:
    scores = {'IoU.x': value, 'IoU.y': 50.0, 'mIoU': value, 'mDice': value, 'ACC': value}
    return {
        'dataset': 'tiny',
        'seed': seed,
        'classes': ['x', 'y'],
        'rows': [{'name': 'segmentor', 'split': 'test', 'metrics': scores}],
        **changed,
    }


def test_aggregate__equals_numpy():
    values = [41.2, 43.9, 40.5]
    (row,) = aggregate([result(seed, value) for seed, value in enumerate(values)])
    assert (row.name, row.split, row.n) == ('segmentor', 'test', 3)
    assert row.mean['mIoU'] == pytest.approx(np.mean(values))
    assert row.std['mIoU'] == pytest.approx(np.std(values, ddof=1))
    assert row.std['IoU.y'] == 0


def test_aggregate__a_score_missing_in_one_run_has_no_mean():
    results = [result(0, 1.0), result(1, 3.0)]
    results[1]['rows'][0]['metrics']['IoU.x'] = None
    (row,) = aggregate(results)
    assert math.isnan(row.mean['IoU.x'])
    assert row.mean['mIoU'] == 2


def test_seeds_table__golden():
    rows = aggregate([result(0, 1.0), result(1, 3.0)])
    assert seeds_table(rows, ['x', 'y']).splitlines()[2] == (
        '| segmentor | 2.00 ± 1.41 | 50.00 ± 0.00 | 2.00 ± 1.41 | 2.00 ± 1.41 | 2.00 ± 1.41 |   2 |'
    )
    assert seeds_table(rows, ['x', 'y'], protocol='B') == ''


def test_aggregate__raises():
    with pytest.raises(DataError, match='1 result given.*at least two'):
        aggregate([result(0, 1.0)])
    with pytest.raises(DataError, match=r'seeds \[0, 0\]: expected each seed once'):
        aggregate([result(0, 1.0), result(0, 2.0)])
    with pytest.raises(DataError, match='result 1 has dataset other, result 0 has tiny'):
        aggregate([result(0, 1.0), result(1, 2.0, dataset='other')])
    with pytest.raises(DataError, match=r"result 1 has classes \['x'\]"):
        aggregate([result(0, 1.0), result(1, 2.0, classes=['x'])])
    with pytest.raises(DataError, match='result 1 has rows'):
        aggregate([result(0, 1.0), result(1, 2.0, rows=[{'name': 'raw CAM', 'metrics': {}}])])
    with pytest.raises(DataError, match='result 1: field "rows"'):
        aggregate([result(0, 1.0), result(1, 2.0, rows=[])])


def test_collect__experiments_by_config_and_shared_rows_once():
    shared = {'name': 'floor', 'split': 'test', 'metrics': {'mIoU': 8.0}}
    runs = []
    for seed in (0, 1):
        first = result(seed, 40.0 + seed, name='arml')
        first['rows'] = [shared, *first['rows']]
        second = result(seed, 30.0, name='cross_entropy')
        second['rows'] = [shared, {**second['rows'][0], 'name': 'cross entropy'}]
        runs += [second, first]
    rows = collect(runs)
    assert [(row.name, row.n, row.mean['mIoU']) for row in rows] == [
        ('floor', 2, 8.0),
        ('cross entropy', 2, 30.0),
        ('segmentor', 2, 40.5),
    ]


def test_collect__one_seed_of_an_experiment_is_refused():
    with pytest.raises(DataError, match='at least two'):
        collect([result(0, 1.0, name='a'), result(1, 1.0, name='a'), result(0, 1.0, name='b')])
