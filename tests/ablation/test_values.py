"""Values as a training reads them."""

import pytest

from arml.ablation.values import as_read, read_options
from arml.errors import ConfigError


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ('1e-3', 0.001),
        (0.5, 0.5),
        (37.123456789012345, 37.123456789012345),
        (True, True),
        ('off', 'off'),
        ('drop', 'drop'),
        (None, None),
        ([[1, 2], 3, 'ab'], [[1, 2], 3, 'ab']),
        ([], []),
    ],
)
def test_as_read__what_arrives(value, expected):
    read = as_read(value)
    assert read == expected
    assert type(read) is type(expected)
    assert read_options([f'x={read}'])['x'] == read


@pytest.mark.parametrize(
    ('value', 'match'),
    [
        ({'a': 1}, r"found {'a': 1}, but a training would read \"{'a':1}\""),
        ('two words', "found 'two words', but a training would read 'twowords'"),
        ([1, 'a b'], r"found \[1, 'a b'\], but a training would read"),
        (float('nan'), 'found nan, but a training would read nan'),
        ('a(b,c', 'Imbalanced brackets'),
    ],
)
def test_as_read__raises(value, match):
    with pytest.raises(ConfigError, match=match):
        as_read(value)


def test_read_options():
    options = ['data_root=data/x', 'a=[1,b]', 'b=None', 'c=1=2']
    assert read_options(options) == {'data_root': 'data/x', 'a': [1, 'b'], 'b': None, 'c': '1=2'}
    with pytest.raises(ConfigError, match="--cfg-options: found 'amp', expected KEY=VALUE"):
        read_options(['amp'])
    with pytest.raises(ConfigError, match=r"data_root: found '/my data', but .* read '/mydata'"):
        read_options(['data_root=/my data'])
    with pytest.raises(ConfigError, match='here: a: Imbalanced brackets'):
        read_options(['a=b(,c'], 'here')
