"""The arithmetic and the order of measurements; no time is ever asserted."""

import math

import pytest
import torch

from arml.benchmark.harness import (
    Bound,
    Harness,
    Report,
    Row,
    alternate,
    at_least,
    number,
    reporting,
)
from arml.errors import ConfigError


def test_alternate__measures_every_work_once_a_round_in_rotating_order(capsys):
    order = []
    works = {name: (lambda name=name: order.append(name)) for name in 'abc'}
    seconds = alternate(works, Harness(repeats=4, warmup=0), 'test')
    assert ''.join(order) == 'abcbcacababc'
    assert {name: len(values) for name, values in seconds.items()} == {'a': 4, 'b': 4, 'c': 4}
    assert min(min(values) for values in seconds.values()) >= 0
    assert 'test: measurements: 12/12' in capsys.readouterr().err


def test_alternate__calls_short_work_often():
    calls = {'short': 0}

    def short():
        calls['short'] += 1

    alternate({'short': short}, Harness(repeats=1, warmup=1, least_seconds=1e-3), 'test')
    assert calls['short'] > 10


@pytest.mark.parametrize(
    ('ratio_is', 'bound', 'ratios', 'reached'),
    [
        ('reference / ours', Bound('>=', 3), [2, 4, 4], True),
        ('reference / ours', Bound('>=', 4.5), [2, 4, 4], False),
        ('ours / reference', Bound('<=', 0.25), [0.5, 0.25, 0.25], True),
        ('ours / reference', Bound('<=', 1.5, of='ours'), [0.5, 0.25, 0.25], True),
        ('ours / reference', None, [0.5, 0.25, 0.25], None),
        (None, Bound('<=', 0.5, of='ours'), [], False),
    ],
)
def test_row__ratios_and_bound(ratio_is, bound, ratios, reached):
    row = Row('work', 's', [1, 1, 2], [2, 4, 8], ratio_is, bound)
    assert row.ratios == ratios
    assert row.reached is reached
    written = row.as_dict()
    assert written['ours'] == {'median': 1, 'min': 1, 'max': 2, 'values': [1, 1, 2]}
    if ratios:
        assert written['ratio']['is'] == ratio_is
        assert written['ratio']['median'] == sorted(ratios)[1]
    assert written['reached'] is reached


def test_row__of_nothing_has_no_finite_ratio():
    assert Row('work', 'MB', [1.0], [0.0], 'ours / reference').ratios == [math.inf]
    assert math.isnan(Row('work', 'MB', [0.0], [0.0], 'ours / reference').ratios[0])


def test_report__table_has_a_line_for_each_row_and_its_notes():
    rows = [
        Row('first', 's', [0.5], [50.0], 'reference / ours', Bound('>=', 40), 'a note'),
        Row('second', 'relative error', [1e-7], bound=Bound('<=', 1e-8, of='ours')),
    ]
    lines = Report('test', {}, rows, ['the end']).table().splitlines()
    assert [cell.strip() for cell in lines[2].split('|')[1:-1]] == [
        'first', '0.5 s', '50 s', '100 (100-100) ref/ours', '>= 40', 'yes',
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[3].split('|')[1:-1]] == [
        'second', '1.00e-07', '-', '-', '<= 1.00e-08', 'NO',
    ]  # fmt: skip
    assert lines[-2:] == ['first: a note', 'the end']
    assert len({len(line) for line in lines[:4]}) == 1


def test_reporting__notes_the_machine_and_restores_the_settings():
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with reporting('test', Harness(threads=1, tf32=True, repeats=2), batch=3) as report:
        assert torch.get_num_threads() == 1
        assert torch.get_float32_matmul_precision() == 'high'
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == precision
    assert report.settings['batch'] == 3
    assert report.settings['repeats'] == 2
    assert report.settings['device'] == 'cpu'
    assert report.environment.keys() >= {
        'commit', 'versions', 'threads', 'cpus', 'device', 'processor', 'load_before', 'load_after',
    }  # fmt: skip


@pytest.mark.parametrize(
    'wrong', [{'repeats': 0}, {'memory_repeats': 0}, {'warmup': -1}, {'threads': 0}, {'seed': -1}]
)
def test_harness__refuses_numbers_that_are_too_small(wrong):
    name = next(iter(wrong)).replace('_', '-')
    with pytest.raises(ConfigError, match=f'--{name}: found .*, expected at least'):
        Harness(**wrong)


def test_at_least__refuses_nan():
    with pytest.raises(ConfigError, match='--noise: found nan, expected at least 0'):
        at_least(0, noise=math.nan)


@pytest.mark.parametrize(
    ('value', 'text'),
    [(0, '0'), (40, '40'), (1.05, '1.05'), (123.456, '123.5'), (12345.6, '12346'),
     (3e-6, '3.00e-06'), (0.05, '0.05'), (math.nan, 'nan')],
)  # fmt: skip
def test_number__has_four_digits(value, text):
    assert number(value) == text
