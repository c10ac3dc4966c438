"""Values of a parameter against a reference, seed by seed."""

import math

import numpy as np
import pytest

from arml.errors import DataError
from arml.report.differences import differences, differences_table


def run(value, seed, score, dataset='tiny', **more):
    return {
        'run': f'{value}-{seed}', 'seed': seed, 'dataset': dataset,
        'parameters': {'omega': value, 'randomness.seed': seed, **more},
        'rows': [
            {'name': 'floor', 'metrics': {'mIoU': 1.0}},
            {'name': 'ARML', 'metrics': {'mIoU': score, 'ACC': None}},
        ],
    }  # fmt: skip


def compare(rows, reference=1, row='ARML', **options):
    return differences(rows, 'omega', reference, row, **options)


ONE, THREE = [40.0, 42.0, 47.0], [41.0, 45.0, 46.0]
ROWS = [run(3, seed, score) for seed, score in enumerate(THREE)]
ROWS += [run(1, seed, score) for seed, score in reversed(list(enumerate(ONE)))]


def test_differences__are_paired_by_seed():
    reference, other = compare(ROWS)
    assert (reference.value, reference.n, reference.pairs) == ('1', 3, 3)
    assert reference.mean == pytest.approx(np.mean(ONE))
    assert reference.std == pytest.approx(np.std(ONE, ddof=1))
    delta = np.subtract(THREE, ONE)
    assert (other.value, other.n, other.pairs) == ('3', 3, 3)
    assert other.delta == pytest.approx(delta.mean())
    assert other.delta_std == pytest.approx(delta.std(ddof=1))
    assert [each.mean for each in compare(ROWS, row='floor')] == [1, 1]


def test_differences__fewer_seeds_are_counted():
    rows = [
        row for row in ROWS if (row['parameters']['omega'], row['seed']) not in [(3, 0), (1, 1)]
    ]
    rows.append(run('drop', 7, 50.0))
    reference, three, five, drop = compare(rows, values=[3, 1, 5, 'drop'])
    assert [each.n for each in (reference, three, five, drop)] == [2, 2, 0, 1]
    assert [each.pairs for each in (three, five, drop)] == [1, 0, 0]
    assert three.delta == 46 - 47
    assert math.isnan(three.delta_std)
    assert five.value == '5'
    assert math.isnan(five.mean)
    assert drop.mean == 50
    assert math.isnan(drop.delta)


def test_differences_table__golden():
    rows = [*ROWS, run('drop', 1, 50.0)]
    assert differences_table(compare(rows, values=[1, 3, 5])).splitlines() == [
        '|      |   n |         mIoU |   difference to 1, same seeds |   pairs |',
        '|------|-----|--------------|-------------------------------|---------|',
        '| 1    |   3 | 43.00 ± 3.61 |                             – |       – |',
        '| 3    |   3 | 44.00 ± 2.65 |                  +1.00 ± 2.00 |       3 |',
        '| 5    |   0 |            – |                             – |       0 |',
        '| drop |   1 |        50.00 |                         +8.00 |       1 |',
    ]


def test_differences__seed_of_the_config_where_the_sweep_has_none():
    rows = [run(1, 4, 40.0), run(3, 4, 41.0)]
    for row in rows:
        del row['parameters']['randomness.seed']
    assert compare(rows)[1].delta == 1


def test_differences__raises():
    with pytest.raises(
        DataError, match='omega=2: no finished run to compare with; there are such of 3, 1'
    ):
        compare(ROWS, 2)
    with pytest.raises(DataError, match='omega=1: no finished run .* of no value'):
        compare([])
    with pytest.raises(DataError, match="run 3-0: has no parameter 'omga'; it has omega, random"):
        differences(ROWS, 'omga', 1, 'ARML')
    with pytest.raises(DataError, match="run 3-0: has no row 'CAM'; it has floor, ARML"):
        compare(ROWS, row='CAM')
    for metric in ('ACC', 'Dice'):
        with pytest.raises(DataError, match=f"run 3-0: ARML has no score '{metric}'; it has mIoU"):
            compare(ROWS, metric=metric)
    with pytest.raises(
        DataError, match='differ in more than omega and the seed: beta=1, .* and beta=2'
    ):
        compare([run(1, 0, 1.0, beta=1), run(1, 0, 1.0, beta=2)])
    with pytest.raises(DataError, match='differ in more than omega and the seed: other and tiny'):
        compare([run(1, 0, 1.0), run(3, 0, 1.0, dataset='other')])
    with pytest.raises(DataError, match='omega=1, seed 2: found twice'):
        compare([*ROWS, run(1, 2, 1.0)])
