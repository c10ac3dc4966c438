"""What a parameter of a sweep may be."""

import json

import jsonschema
import pytest
import yaml
from conftest import ROOT

from arml.ablation.space import Distribution, distribution_of, values_of
from arml.errors import ConfigError

SCHEMA = json.loads((ROOT / 'tests/assets/wandb_sweep_schema.json').read_text())
GOOD = {
    '{value: 3}': Distribution('categorical', choices=(3,)),
    '{value: 3, distribution: constant}': Distribution('categorical', choices=(3,)),
    '{values: [1, drop, 1e-3]}': Distribution('categorical', choices=(1, 'drop', 0.001)),
    '{values: [a], distribution: categorical}': Distribution('categorical', choices=('a',)),
    '{min: 0, max: 4}': Distribution('int', 0, 4),
    '{min: 0, max: 4.0}': Distribution('float', 0.0, 4.0),
    '{min: 0, max: 4, distribution: uniform}': Distribution('float', 0.0, 4.0),
    '{min: 1, max: 4, distribution: int_uniform}': Distribution('int', 1, 4),
    '{min: 1.0e-4, max: 1, distribution: log_uniform_values}': Distribution(
        'float', 1e-4, 1.0, log=True
    ),
    '{min: 0, max: 4, distribution: q_uniform}': Distribution('float', 0.0, 4.0, step=1.0),
    '{min: 0.1, max: 0.7, q: 0.1, distribution: q_uniform}': Distribution(
        'float', 0.1, 0.7, step=0.1
    ),
    '{min: 4, max: 12, q: 4, distribution: q_uniform}': Distribution('int', 4, 12, step=4),
}


@pytest.mark.parametrize(('text', 'expected'), GOOD.items())
def test_distribution_of(text, expected):
    entry = yaml.safe_load(text)
    jsonschema.validate({'method': 'bayes', 'parameters': {'a': entry}}, SCHEMA)
    found = distribution_of(entry)
    assert found == expected
    numbers = (found.low, found.high, found.step)
    assert [type(n) for n in numbers] == [
        type(n) for n in (expected.low, expected.high, expected.step)
    ]


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('3', r'found 3, expected value: X, values: \[X, Y\], or min: A and max: B'),
        ('{}', 'found {}, expected value: X'),
        ('{min: 3}', "found {'min': 3}, expected value: X"),
        ('{values: 3}', r"found {'values': 3}, expected value: X or values: \[X, Y\]"),
        ('{values: []}', 'found no value'),
        ('{values: [1, 1]}', r'found \[1, 1\], expected each value once'),
        ('{values: [1e-3, 0.001]}', 'expected each value once'),
        ('{values: [2024-01-01]}', r'found datetime.*but a training would read'),
        ('{value: 1, values: [1]}', 'expected value for the distribution constant'),
        ('{values: [1], probabilities: [1]}', 'expected values for the distribution categorical'),
        ('{min: 3, max: 4, q: 1}', 'expected min, max for the distribution int_uniform'),
        ('{max: 4, distribution: uniform}', 'expected min, max for the distribution uniform'),
        ('{max: 4, distribution: q_uniform}', r'expected min, max \(and q, if it is not 1\)'),
        ('{mu: 0, sigma: 1, distribution: normal}', "found 'normal', expected one of constant, cat"),
        ('{min: -4, max: 0, distribution: log_uniform}', "found 'log_uniform', expected one of .*_values"),
        ('{parameters: {b: {value: 1}}}', 'found parameters within parameters'),
        ('{min: 1e-3, max: 4.0, distribution: uniform}', r"min: found '1e-3', expected a number\. YAML wants"),
        ('{min: a, max: 4}', r"min: found 'a', expected a number$"),
        ('{min: 1, max: 4.5, distribution: int_uniform}', r'max: found 4\.5, expected a whole number$'),
        ('{min: true, max: 4.0, distribution: uniform}', 'min: found True, expected a number'),
        ('{min: 4, max: 3}', 'found min 4 and max 3, expected min below max'),
        ('{min: 0, max: 3, distribution: log_uniform_values}', 'min: found 0, expected a number above 0'),
        ('{min: 0, max: 3, q: 0, distribution: q_uniform}', 'q: found 0, expected a number above 0'),
        ('{min: 0, max: 3, q: 2, distribution: q_uniform}', 'max: found 3, expected a multiple of q = 2'),
        ('{min: 1, max: 4, q: 2, distribution: q_uniform}', 'min: found 1, expected a multiple of q = 2'),
    ],
)  # fmt: skip
def test_distribution_of__raises(text, match):
    with pytest.raises(ConfigError, match=match):
        distribution_of(yaml.safe_load(text))


def test_values_of():
    assert values_of({'values': [1, 'drop']}) == [1, 'drop']
    assert values_of({'value': 3}) == [3]
    with pytest.raises(ConfigError, match='but a grid runs every value: expected value: X or val'):
        values_of({'min': 3, 'max': 4})


def test_examples():
    assert Distribution('int', 1, 4).examples == (1, 4)
    assert Distribution('categorical', choices=(0,)).examples == (0,)
