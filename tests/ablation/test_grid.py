"""Sweep files: what they hold, and what is wrong with them."""

import pytest
from conftest import ROOT

from arml.ablation import read_options, read_sweep
from arml.errors import ConfigError

SHIPPED = sorted((ROOT / 'sweeps').glob('*.yaml'))
GOOD = """
program: tools/train.py
method: grid
parameters:
  randomness.seed: {values: [0, 1]}
  model.swv.omega: {values: [1, drop]}
  train_cfg.max_epochs: {value: 3}
command: ['${env}', python, '${program}', configs/tiny.py, --resume, --cfg-options, '${args_no_hyphens}']
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A folder as the repository is, and a sweep file of some text in it; we are elsewhere."""
    (tmp_path / 'other').mkdir()
    monkeypatch.chdir(tmp_path / 'other')
    for name in ('tools/train.py', 'configs/tiny.py'):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / 'sweeps').mkdir()

    def file(text=GOOD):
        path = tmp_path / 'sweeps' / 'omega.yaml'
        path.write_text(text)
        return path

    return file


def test_read_sweep__grid(write, tmp_path):
    sweep = read_sweep(write())
    assert sweep.name == 'omega'
    assert sweep.config == tmp_path / 'configs' / 'tiny.py'
    assert sweep.program == tmp_path / 'tools' / 'train.py'
    assert [tuple(cell.items()) for cell in sweep.combinations()] == [
        (('model.swv.omega', omega), ('train_cfg.max_epochs', 3), ('randomness.seed', seed))
        for omega in (1, 'drop')
        for seed in (0, 1)
    ]
    assert read_sweep(write('name: table 3\n' + GOOD)).name == 'table 3'


def test_read_sweep__both_files_are_of_one_folder(write, tmp_path):
    other = tmp_path / 'other'
    for name in ('configs/tiny.py', 'tools/train.py'):
        sweep = read_sweep(write())
        assert sweep.config == tmp_path / 'configs' / 'tiny.py'
        assert sweep.program == tmp_path / 'tools' / 'train.py'
        (other / name).parent.mkdir()
        (other / name).touch()
    sweep = read_sweep(write())
    assert sweep.config == other / 'configs' / 'tiny.py'
    assert sweep.program == other / 'tools' / 'train.py'


@pytest.mark.parametrize(
    ('written', 'expected'),
    [
        ('[1e-3, 1.0e-4, 2, 0.5]', [0.001, 0.0001, 2, 0.5]),
        ('[off, on]', [False, True]),
        ('["off", drop]', ['off', 'drop']),
        ('[null, weights_1_and_0.1]', [None, 'weights_1_and_0.1']),
        ('[[2], [1, a b], [[1, 2], 3], []]', None),
        ('[[2], [1, ab], [[1, 2], 3], []]', [[2], [1, 'ab'], [[1, 2], 3], []]),
    ],
)
def test_read_sweep__values_as_the_command_line_reads_them(write, written, expected):
    text = GOOD.replace('[1, drop]', written)
    if expected is None:
        with pytest.raises(ConfigError, match=r"found \[1, 'a b'\], but a training would read"):
            read_sweep(write(text))
        return
    values = read_sweep(write(text)).parameters['model.swv.omega']
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]
    assert [read_options([f'x={value}'])['x'] for value in values] == values


@pytest.mark.parametrize(
    ('old', 'new', 'match'),
    [
        (GOOD, ': [', 'omega.yaml: is no YAML'),
        (GOOD, '- 1', 'omega.yaml: found list, expected keys and values'),
        ('method', 'early_terminate: 1\nmethod', "found the key 'early_terminate', expected some"),
        ('method', '1: 1\nmethod', "found the key '1', expected some"),
        ('grid', 'bayes', "method: found 'bayes', expected grid"),
        ('  randomness', '  - randomness', 'is no YAML'),
        ('parameters:', 'parameters: {}\ndescription:', 'parameters: found none'),
        ('program:', 'name: ../up\nprogram:', r"name: found '\.\./up', expected the name of a fold"),
        ('tools/train.py', 'tools/sweeps.py', r'the program tools/sweeps\.py and the config .*, but neither'),
        ('program:', 'description:', 'the program None and'),
        ('configs/tiny.py', 'configs/big.py', r'the config configs/big\.py, but'),
        ("'${program}'", 'tools/train.py', r'command: found .* expected \[\.\.\., \${program}, the con'),
        (', configs/tiny.py', '', 'command: found .* expected'),
        ('--resume', '--amp', 'command: found .*--amp.* expected'),
        ("no_hyphens}'", "no_hyphens}', a.b=1", 'command: found .* expected'),
        ('command:', 'description:', 'command: found None, expected'),
        ('{value: 3}', '3', r'parameters\.train_cfg\.max_epochs: found 3, expected value: X or values'),
        ('{value: 3}', '{values: 3}', 'expected value: X or values'),
        ('{value: 3}', '{min: 3, max: 4}', 'expected value: X or values'),
        ('[1, drop]', '[]', 'omega: found no value'),
        ('[1, drop]', '[1, 1]', r'omega: found \[1, 1\], expected each value once'),
        ('[1, drop]', '[1e-3, 0.001]', 'expected each value once'),
        ('[1, drop]', '[{a: 1}]', r"omega: found {'a': 1}, but a training would read \"{'a':1}\""),
        ('[1, drop]', '[2024-01-01]', r'found datetime.*but a training would read'),
        ('[1, drop]', '[.nan]', 'found nan, but a training would read nan'),
        ('[1, drop]', '[two words]', "found 'two words', but a training would read 'twowords'"),
        ('[1, drop]', "['a(b,c']", 'omega: Imbalanced brackets'),
    ],
)  # fmt: skip
def test_read_sweep__raises(write, old, new, match):
    assert old in GOOD
    with pytest.raises(ConfigError, match=match):
        read_sweep(write(GOOD.replace(old, new, 1)))


def test_read_sweep__raises_for_no_file_and_no_text(write, tmp_path):
    with pytest.raises(ConfigError, match='nowhere.yaml: cannot be read'):
        read_sweep(tmp_path / 'nowhere.yaml')
    file = write()
    file.write_bytes(b'name: \xff')
    with pytest.raises(ConfigError, match='omega.yaml: is no YAML'):
        read_sweep(file)


def test_read_options():
    options = ['data_root=data/x', 'a=[1,b]', 'b=None', 'c=1=2']
    assert read_options(options) == {'data_root': 'data/x', 'a': [1, 'b'], 'b': None, 'c': '1=2'}
    with pytest.raises(ConfigError, match="--cfg-options: found 'amp', expected KEY=VALUE"):
        read_options(['amp'])
    with pytest.raises(ConfigError, match=r"data_root: found '/my data', but .* read '/mydata'"):
        read_options(['data_root=/my data'])
    with pytest.raises(ConfigError, match='here: a: Imbalanced brackets'):
        read_options(['a=b(,c'], 'here')


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped__read_from_any_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep(path)
    assert sweep.name == path.stem
    assert sweep.program == ROOT / 'tools' / 'train.py'
    assert sweep.config.parent == ROOT / 'configs'
