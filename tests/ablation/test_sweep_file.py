"""Sweep files: what they hold, and what is wrong with them, by line."""

from pathlib import Path

import pytest
from tiny_run import CONFIG

from arml.ablation import Distribution, Sweep, read_sweep
from arml.config.load import read_config
from arml.errors import ConfigError

GOOD = """program: tools/train.py
method: grid
parameters:
  randomness.seed: {values: [0, 1]}
  model.swv.omega: {values: [1, drop]}
  train_cfg.max_epochs: {value: 3}
command: ['${env}', python, '${program}', configs/tiny.py, --resume, --cfg-options, '${args_no_hyphens}']
"""
SEARCH = """program: tools/train.py
method: bayes
metric: {name: segmentor/val/mIoU, goal: maximize}
run_cap: 5
early_terminate: {type: hyperband, min_iter: 2}
parameters:
  model.lambda_: {min: 0.0, max: 0.8}
  omega: {values: [2, drop]}
  randomness.seed: {value: 0}
command: ['${env}', python, '${program}', configs/tiny.py, --cfg-options, '${args_no_hyphens}']
"""


@pytest.fixture(scope='module')
def config_text():
    """A config without bases: it is read for every test."""
    config = read_config(CONFIG).to_dict()
    return '\n'.join(f'{name} = {value!r}' for name, value in config.items())


@pytest.fixture
def write(config_text, tmp_path, monkeypatch):
    """A folder as the repository is, and a sweep file of some text in it; we are elsewhere."""
    (tmp_path / 'other').mkdir()
    monkeypatch.chdir(tmp_path / 'other')
    for name in ('tools/train.py', 'configs/tiny.py'):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / 'configs' / 'tiny.py').write_text(config_text)
    (tmp_path / 'sweeps').mkdir()

    def file(text=GOOD):
        path = tmp_path / 'sweeps' / 'omega.yaml'
        path.write_text(text)
        return path

    return file


def refused(file):
    """What is said of a sweep file: line -> text."""
    with pytest.raises(ConfigError) as caught:
        read_sweep(file)
    said = {}
    for line in str(caught.value).splitlines():
        place, _, text = line.partition(': ')
        assert place.startswith(f'{file}, line '), line
        said.setdefault(int(place.rpartition(' ')[2]), []).append(text)
    return said


def test_read_sweep__grid(write, tmp_path):
    sweep = read_sweep(write())
    assert sweep.name == 'omega'
    assert sweep.path == tmp_path / 'sweeps' / 'omega.yaml'
    assert sweep.config == tmp_path / 'configs' / 'tiny.py'
    assert sweep.program == tmp_path / 'tools' / 'train.py'
    assert (sweep.method, sweep.metric, sweep.goal) == ('grid', 'test/mIoU', 'maximize')
    assert (sweep.space, sweep.run_cap, sweep.early_terminate) == ({}, None, None)
    assert list(sweep.content) == ['program', 'method', 'parameters', 'command']
    assert [tuple(cell.items()) for cell in sweep.combinations()] == [
        (('model.swv.omega', omega), ('train_cfg.max_epochs', 3), ('randomness.seed', seed))
        for omega in (1, 'drop')
        for seed in (0, 1)
    ]


def test_read_sweep__search(write):
    sweep = read_sweep(write(SEARCH))
    assert (sweep.method, sweep.metric, sweep.goal) == ('bayes', 'segmentor/val/mIoU', 'maximize')
    assert (sweep.run_cap, sweep.early_terminate) == (5, {'type': 'hyperband', 'min_iter': 2})
    assert sweep.parameters == {}
    assert sweep.space == {
        'model.lambda_': Distribution('float', 0.0, 0.8),
        'omega': Distribution('categorical', choices=(2, 'drop')),
        'randomness.seed': Distribution('categorical', choices=(0,)),
    }
    with pytest.raises(ConfigError, match='sweep omega: found method: bayes, .* expected grid'):
        sweep.combinations()


@pytest.mark.parametrize(
    ('name', 'tags'),
    [('table 3', []), ('table3', ['table3']), ('table12_x', ['table12']), ('my_table3', [])],
)
def test_read_sweep__a_name_of_its_own_and_the_table_in_it(write, name, tags):
    sweep = read_sweep(write(f'name: {name}\n{GOOD}'))
    assert (sweep.name, sweep.tags) == (name, tags)


def test_read_sweep__both_files_are_of_one_folder(write, tmp_path):
    other = tmp_path / 'other'
    for name in ('configs/tiny.py', 'tools/train.py'):
        sweep = read_sweep(write())
        assert sweep.config == tmp_path / 'configs' / 'tiny.py'
        assert sweep.program == tmp_path / 'tools' / 'train.py'
        (other / name).parent.mkdir()
        (other / name).write_bytes((tmp_path / name).read_bytes())
    sweep = read_sweep(write())
    assert sweep.config == other / 'configs' / 'tiny.py'
    assert sweep.program == other / 'tools' / 'train.py'


@pytest.mark.parametrize(
    ('leaf', 'written', 'expected'),
    [
        ('model.lambda_', '[1e-3, 1.0e-4, 1, 0.5]', [0.001, 0.0001, 1, 0.5]),
        ('model.swv.normalise', '[off, on]', [False, True]),
        ('model.mask_weight', '[null, 0.5]', [None, 0.5]),
        ('model.network.backbone.out_indices', '[[2], [3]]', [[2], [3]]),
        ('model.network.backbone.init_cfg', '[null]', [None]),
        ('param_scheduler.0.eta_min', '[0, 0.1]', [0, 0.1]),
        ('train_dataloader.batch_size', '[2, 4]', [2, 4]),
        ('deviation', '[none, weights_1_and_0.1]', ['none', 'weights_1_and_0.1']),
        ('components', '[ars, full]', ['ars', 'full']),
    ],
)
def test_read_sweep__values_as_the_command_line_reads_them(write, leaf, written, expected):
    text = GOOD.replace('model.swv.omega: {values: [1, drop]}', f'{leaf}: {{values: {written}}}')
    values = read_sweep(write(text)).parameters[leaf]
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ('old', 'new', 'line', 'match'),
    [
        ('method: grid', 'method: grid\nmethod: grid', 3, 'method: stands here a second time, first in line 2'),
        ('  train_cfg', '  model.swv.omega: {value: 2}\n  train_cfg', 6, 'omega: stands here a second time'),
        ('method', 'controller: 1\nmethod', 2, 'controller: is none of the keys that are read: command,'),
        ('method', '1: 1\nmethod', 2, 'is none of the keys'),
        ('method', 'description: [1]\nmethod', 2, r'description: found \[1\], expected a text'),
        ('grid', 'custom', 2, "method: found 'custom', expected one of grid, random, bayes"),
        ('method', 'run_cap: 3\nmethod', 2, 'run_cap: is for a search: a grid runs every cell'),
        ('method', 'early_terminate: {}\nmethod', 2, 'early_terminate: is for a search'),
        ('parameters:', 'parameters: {}\ndescription:', 3, 'parameters: found {}, expected dotted'),
        ('program:', 'name: ../up\nprogram:', 1, r"name: found '\.\./up', expected the name of a fold"),
        ('program:', 'name: ..\nprogram:', 1, r"name: found '\.\.', expected the name of a folder"),
        ('program:', 'name: 3\nprogram:', 1, 'name: found 3, expected a text'),
        ('program:', 'name: null\nprogram:', 1, 'name: found None, expected a text'),
        ('program:', 'name: [a]\nprogram:', 1, r"name: found \['a'\], expected a text"),
        ('tools/train.py', 'tools/sweeps.py', 7, r'the program tools/sweeps\.py and the config .*, but neither'),
        ('program: tools/train.py', 'description: x', 1, 'program: found None, expected a file'),
        ('configs/tiny.py', 'configs/big.py', 7, r'the config configs/big\.py, but'),
        ("'${program}'", 'tools/train.py', 7, r'command: found .* expected \[\.\.\., \${program}, the con'),
        (', configs/tiny.py', '', 7, 'command: found .* expected'),
        ('--resume', '--amp', 7, 'command: found .*--amp.* expected'),
        ("no_hyphens}'", "no_hyphens}', a.b=1", 7, 'command: found .* expected'),
        ('command:', 'description: x\nentity:', 1, 'command: found None, expected'),
        ('{value: 3}', '3', 6, r'parameters\.train_cfg\.max_epochs: found 3, expected value: X, values'),
        ('{value: 3}', '{min: 3, max: 4}', 6, 'but a grid runs every value'),
        ('[1, drop]', '[two words]', 5, "found 'two words', but a training would read 'twowords'"),
        ('model.swv.omega', 'model.swv.omgea', 5,
         r"parameters\.model\.swv\.omgea: there is no 'omgea' under model\.swv\. Did you mean model\.swv\.omega"),
        ('model.swv.omega', 'omgea', 5, r"parameters\.omgea: there is no 'omgea' at .*Did you mean omega\?"),
        ('model.swv.omega: {values: [1, drop]}', 'model.swv: {values: [1]}', 5, 'is a group of settings'),
        ('model.swv.omega: {values: [1, drop]}', 'omega: {values: [1, 4]}', 5,
         'omega.values: found 4, expected one of default, none, cross_entropy, 1, 2, 3, 5, drop'),
        ('model.swv.omega: {values: [1, drop]}', 'components: {values: [off]}', 5, 'components.*YAML reads on, off'),
        ('[1, drop]', '[1,\n    true]', 6, r'omega.values: found True, expected a number or a word'),
        ('{value: 3}', '{value: 3.5}', 6, r'max_epochs.value: found 3.5, expected a whole number'),
        ('[0, 1]', '[0, 1.5]', 4, r'randomness\.seed\.values: found 1\.5, expected a whole number from 0'),
        ('[1, drop]', '[1, drpo]', 5, r"omega\.values: swv\.omega: found 'drpo', expected a number >= 1 or 'drop'"),
        ('[1, drop]', '[0.5, drop]', 5, r'swv\.omega: found 0\.5, expected a number >= 1'),
        ('model.swv.omega: {values: [1, drop]}', 'model.srm.relation: {values: [structur]}', 5,
         "srm.relation: found 'structur', expected"),
        ('[1, drop]', '[1, .inf]', 5, 'found inf'),
        ('model.swv.omega: {values: [1, drop]}', 'model.swv.normalise: {values: [1]}', 5,
         'normalise.values: found 1, expected True or False'),
        ('model.swv.omega: {values: [1, drop]}', 'optim_wrapper.optimizer.lr: {values: [small]}', 5,
         "lr.values: found 'small', expected a number"),
        ('method', 'metric: mIoU\nmethod', 2, "metric: found 'mIoU', expected name"),
        ('method', 'metric: {name: test/mIoU}\nmethod', 2, r'metric: .* and goal.*without a goal W&B minimizes'),
        ('method', 'metric: {name: test/mIoU, goal: up}\nmethod', 2, 'metric: .*maximize or minimize'),
        ('method', 'metric: {name: test/mIoU, goal: maximize, target: 9}\nmethod', 2, 'metric: '),
        ('method', 'metric: {name: mIoU, goal: maximize}\nmethod', 2, "name: found 'mIoU', expected STAGE/val"),
        ('method', 'metric: {name: segmenter/val/mIoU, goal: maximize}\nmethod', 2,
         "found the stage 'segmenter', expected one of classifier, pseudo_masks, segmentor"),
        ('method', 'metric: {name: test/mIuO, goal: maximize}\nmethod', 2,
         r"metric\.name: found the score 'mIuO', expected one of mIoU, mDice, "),
        ('method', 'metric: {name: test/mAP, goal: maximize}\nmethod', 2, "found the score 'mAP', expected one"),
    ],
)  # fmt: skip
def test_read_sweep__raises_with_the_line(write, old, new, line, match):
    assert old in GOOD
    said = refused(write(GOOD.replace(old, new, 1)))
    assert line in said, said
    with pytest.raises(ConfigError, match=match):
        read_sweep(write(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    ('old', 'new', 'line', 'match'),
    [
        ('segmentor/val/mIoU', 'test/mIoU', 3, "found 'test/mIoU', expected a metric of the validation"),
        ('segmentor/val/mIoU', 'segmentor/val/mIuO', 3, r"found the score 'mIuO', expected one of mIoU, "),
        ('segmentor/val/mIoU', 'segmentor/train/loss', 3, 'expected a metric of the validation'),
        ('metric: {name: segmentor/val/mIoU, goal: maximize}', 'description: x', 1, 'metric: found None'),
        ('run_cap: 5', 'run_cap: 0', 4, 'run_cap: found 0, expected a whole number from 1'),
        ('run_cap: 5', 'description: x', 1, 'run_cap: found None, expected'),
        ('run_cap: 5', 'run_cap: true', 4, 'run_cap: found True, expected'),
        ('hyperband', 'median', 5, 'early_terminate: found .*median.*, expected type: hyperband'),
        ('min_iter: 2', 'max_iter: 9', 5, 'early_terminate: found .* expected type: hyperband with min_iter, or'),
        ('min_iter: 2', 'min_iter: 0', 5, r'early_terminate\.min_iter: found 0, expected a number from 1'),
        ('min_iter: 2', 'min_iter: 2, eta: x', 5, r"eta: found 'x', expected a number from 1"),
        ('min_iter: 2', 'min_iter: 2, strict: 1', 5, 'strict: found 1, expected bool'),
        ('min_iter: 2', 'min_iter: 2, epochs: 1', 5, r'early_terminate\.epochs: expected one of type, min_iter'),
        ('{min: 0.0, max: 0.8}', '{min: 0.8, max: 0.2}', 7, 'expected min below max'),
        ('model.lambda_: {min: 0.0, max: 0.8}', 'model.swv.omega: {min: 0.5, max: 8.0}', 7,
         r'swv\.omega: found 0\.5, expected a number >= 1'),
        ('model.lambda_: {min: 0.0, max: 0.8}', 'train_cfg.max_epochs: {min: 2.0, max: 8.0}', 7,
         'max_epochs.min: found 2.0, expected a whole number'),
    ],
)  # fmt: skip
def test_read_sweep__raises_of_a_search(write, old, new, line, match):
    assert old in SEARCH
    text = SEARCH.replace(old, new, 1)
    said = refused(write(text))
    assert line in said, said
    with pytest.raises(ConfigError, match=match):
        read_sweep(write(text))


@pytest.mark.parametrize(
    'metric', ['classifier/val/mAP', 'segmentor/val/IoU.TUM', 'segmentor/val/B.mIoU']
)
def test_read_sweep__a_score_of_any_evaluator(write, metric):
    assert read_sweep(write(SEARCH.replace('segmentor/val/mIoU', metric))).metric == metric


def test_read_sweep__the_scores_of_a_foreign_evaluator_are_not_known(write):
    foreign = '  val_evaluator: {value: null}\n  omega'
    text = SEARCH.replace('segmentor/val/mIoU', 'segmentor/val/mine').replace('  omega', foreign, 1)
    assert 3 in refused(write(text.replace(foreign, '  omega')))
    assert read_sweep(write(text)).metric == 'segmentor/val/mine'


def test_read_sweep__a_search_over_constants_is_none(write):
    text = SEARCH.replace('{min: 0.0, max: 0.8}', '{value: 0.2}')
    text = text.replace('{values: [2, drop]}', '{value: 2}')
    assert refused(write(text)) == {
        6: ['parameters: found only constants, expected something to search over']
    }


def test_read_sweep__a_name_that_wandb_does_not_take(write):
    said = refused(write(GOOD.replace('train_cfg.max_epochs:', '"train_cfg max_epochs":')))
    assert list(said) == [6]
    assert 'expected letters, digits and _ . - in a name' in said[6][0]


def test_read_sweep__reports_all_faults_at_once(write):
    text = GOOD.replace('swv.omega', 'swv.omgea').replace('{value: 3}', '{value: x}')
    said = refused(write(text.replace('method: grid', 'method: gird')))
    assert list(said) == [2, 5, 6]


def test_read_sweep__a_leaf_that_a_constant_brings(write):
    maps = (
        '  pseudo_masks.maps.type: {value: arml.GradCAMMaps}\n'
        '  pseudo_masks.maps.layers: {values: [[layer2], [layer3]]}\n'
    )
    text = GOOD.replace('  model.swv.omega: {values: [1, drop]}\n', maps)
    assert len(read_sweep(write(text)).combinations()) == 4
    without = text.replace('  pseudo_masks.maps.type: {value: arml.GradCAMMaps}\n', '')
    assert 'layers' in refused(write(without))[5][0]


@pytest.mark.parametrize(
    ('text', 'match'), [(': [', 'omega.yaml: is no YAML'), ('- 1', 'found list, expected keys and')]
)
def test_read_sweep__raises_for_another_file(write, text, match):
    with pytest.raises(ConfigError, match=match):
        read_sweep(write(text))


def test_read_sweep__a_broken_config_is_named(write, tmp_path):
    file = write()
    (tmp_path / 'configs' / 'tiny.py').write_text('model = (')
    assert 'configs/tiny.py: cannot be read' in refused(file)[7][0]


def test_sweep__seed_varies_fastest():
    sweep = Sweep(
        name='x', path=Path('x.yaml'), config=Path('c.py'), program=Path('p.py'),
        parameters={'randomness.seed': [0, 1], 'a': [1, 2]},
    )  # fmt: skip
    assert [tuple(cell.values()) for cell in sweep.combinations()] == [
        (1, 0), (1, 1), (2, 0), (2, 1),
    ]  # fmt: skip
