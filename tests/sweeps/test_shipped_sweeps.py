"""The sweep files that are shipped: each expands to the cells of its table and no others."""

import functools
import json
import re

import jsonschema
import pytest
import yaml
from conftest import ROOT, write_fake_tissue

from arml.ablation import cells_of, read_options, read_sweep
from arml.config.choices import choices_in
from arml.config.load import read_config

FILES = sorted((ROOT / 'sweeps').glob('*.yaml'))
SCHEMA = json.loads((ROOT / 'tests' / 'assets' / 'wandb_sweep_schema.json').read_text())
README = (ROOT / 'sweeps' / 'README.md').read_text(encoding='utf-8')
#: A line of its table: the file's name without its data set, cells, classifiers.
LINE = re.compile(
    r'^\| `(\w+)_\{[\w,]+\}\.yaml` \|[^|]+\| (?:(\d+)|up to \d+) \| (\d+) \|', re.MULTILINE
)
#: Cells and, among them, different classifiers of each grid, as the table says; of a search None and one.
SAID = {
    name: (int(cells) if cells else None, int(classifiers))
    for name, cells, classifiers in LINE.findall(README)
}
SIZES = {name: said for name, said in SAID.items() if said[0] is not None}
#: Those that test with seeds of their own what was seen with the others.
FRESH = {'ars_tiny': [3, 4, 5]}
SEARCHES = {'search', 'search_tiny'}
ROWS = {
    'table1_arml': ('backbone', ['resnest101', 'resnet38', 'mit-b3']),
    'table2_components': ('components', ['baseline', 'ars', 'ars_swv', 'ars_srm', 'full']),
    'table3_omega': ('omega', ['none', 1, 2, 3, 5, 'drop']),
    'table4_relations': (
        'relation', ['none', 'kl', 'crl_joint', 'crl_correlation', 'point', 'structure'],
    ),
}  # fmt: skip


def kind(path):
    return path.stem.rpartition('_')[0]


def named(files):
    return pytest.mark.parametrize('path', files, ids=[file.stem for file in files])


@pytest.fixture(scope='module')
def sweeps():
    """Read a sweep file; once."""
    return functools.cache(read_sweep)


@pytest.fixture(scope='module')
def cells(sweeps, tmp_path_factory):
    """The cells of a sweep file, without weights and on drawn tissue; once."""
    folder = tmp_path_factory.mktemp('sweeps')
    data = write_fake_tissue(folder / 'data')

    @functools.cache
    def found(path):
        fixed = [f'data_root={data}', f'store={folder / "store"}']
        if 'tiny' not in path.stem:
            fixed.append('start=scratch')
        return cells_of(sweeps(path), fixed)

    return found


def test_readme__names_every_kind_of_file():
    assert {kind(file) for file in FILES} == set(SAID)
    assert {name for name in SAID if name not in SIZES} == SEARCHES
    assert len(SIZES) >= 17


@named(FILES)
def test_file__is_what_wandb_takes(path):
    jsonschema.validate(yaml.safe_load(path.read_text()), SCHEMA)


@named(FILES)
def test_file__read_from_any_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep(path)
    assert sweep.name == path.stem
    assert sweep.tags == re.findall('^table[1-4]', path.stem)
    assert sweep.program == ROOT / 'tools' / 'train.py'
    assert sweep.config.parent == ROOT / 'configs'
    assert sweep.config.stem.endswith(path.stem.rpartition('_')[2])
    assert ('tiny' in sweep.config.stem) is ('tiny' in path.stem)
    assert sweep.method == ('bayes' if kind(path) in SEARCHES else 'grid')


# Those of two data sets differ by name, text and config alone (see below), so one of each is expanded whole.
@named([
    *(file for file in FILES if kind(file) in SIZES and file.stem.endswith(('_bcss', '_synthetic'))),
    ROOT / 'sweeps' / 'table1_arml_luad.yaml', ROOT / 'sweeps' / 'table3_omega_tiny_ebhi.yaml',
])  # fmt: skip
def test_grid__cells_and_classifiers(path, cells, sweeps):
    found = cells(path)
    sweep = sweeps(path)
    seeds = [0, 1, 2] if 'tiny' in path.stem else [0, 1, 2, 3, 4]
    assert sweep.parameters['randomness.seed'] == FRESH.get(kind(path), seeds)
    number, classifiers = SIZES[kind(path)]
    assert len(found) == len({cell.run for cell in found}) == number == len(sweep.combinations())
    assert len({cell.stages['classifier'] for cell in found}) == classifiers
    assert not any(cell.equal for cell in found)


@named([file for file in FILES if kind(file) in SIZES])
def test_grid__says_how_much_it_is(path, sweeps):
    number, classifiers = SIZES[kind(path)]
    said = sweeps(path).content['description']
    assert f' {number} cells' in said
    assert re.search(rf'\b{classifiers} classifiers', said)


@named([file for file in FILES if kind(file).removesuffix('_tiny') in ROWS])
def test_table__has_its_rows(path, sweeps):
    name, values = ROWS[kind(path).removesuffix('_tiny')]
    assert sweeps(path).parameters[name] == values


def test_tiny__sweeps_share_their_classifiers(cells):
    """Those with ARS are one a seed in all tiny sweeps; those without are in the deviations too."""
    found = {
        name: {cell.stages['classifier'] for cell in cells(ROOT / 'sweeps' / f'{name}_synthetic.yaml')}
        for name in (
            'table2_components_tiny', 'table3_omega_tiny', 'lambda_tiny', 'deviations_maps_tiny',
            'deviations_segmentor_tiny',
        )
    }  # fmt: skip
    assert found['table3_omega_tiny'] == found['lambda_tiny'] == found['deviations_segmentor_tiny']
    assert found['lambda_tiny'] < found['table2_components_tiny'] < found['deviations_maps_tiny']


def test_tables__share_cells(cells):
    """What is in two tables is one cell: run once."""
    runs = {
        name: {cell.run: cell.parameters for cell in cells(ROOT / 'sweeps' / f'{name}_bcss.yaml')}
        for name in ('table2_components', 'table3_omega', 'table4_relations')
    }
    by_components, omega, relation = runs.values()
    shared = {by_components[run]['components'] for run in by_components.keys() & omega.keys()}
    assert shared == {'ars_srm', 'full'}
    shared = {by_components[run]['components'] for run in by_components.keys() & relation.keys()}
    assert shared == {'ars_swv', 'full'}
    assert len(by_components.keys() & omega.keys()) == 10


@pytest.mark.parametrize(('one', 'other'), [('bcss', 'luad'), ('ebhi', 'synthetic')])
def test_files__of_two_data_sets_differ_by_name_text_and_config_alone(one, other):
    pairs = [file for file in FILES if file.stem.endswith(f'_{one}')]
    assert pairs
    for file in pairs:
        parts = []
        for data in (one, other):
            path = file.with_name(f'{kind(file)}_{data}.yaml')
            content = yaml.safe_load(path.read_text())
            content.pop('description', None)
            assert content.pop('name').endswith(data)
            command = [word.replace(f'_{data}.py', '') for word in content.pop('command')]
            parts.append((content, command))
        assert parts[0] == parts[1]


def test_deviations__are_all_that_there_are(sweeps):
    for name in ('deviations_bcss', 'deviations_maps_tiny_ebhi'):
        sweep = sweeps(ROOT / 'sweeps' / f'{name}.yaml')
        known = list(choices_in(read_config(sweep.config))['deviation'])
        assert sweep.parameters['deviation'] == known


def test_deviations__of_the_segmentor_at_cpu_size(sweeps):
    """Left out: what the released code does as the paper, one step more an epoch, and what would take too long."""
    maps, segmentor = (
        sweeps(ROOT / 'sweeps' / f'deviations_{kind}_tiny_ebhi.yaml').parameters['deviation']
        for kind in ('maps', 'segmentor')
    )
    known = choices_in(read_config(ROOT / 'configs' / 'arml_tiny_ebhi.py'))['deviation']
    left_out = {
        'samples_region', 'gradient_into_teacher', 'last_batch_kept',
        'one_network_symmetric', 'samples_image_of_mask_size', 'segmentor_augmentation_released',
    }  # fmt: skip
    assert set(known) - set(maps) - left_out == set(segmentor) - {'none'}
    assert set(maps) | left_out < set(known)


@named([file for file in FILES if kind(file) in SIZES])
def test_wandb__hands_over_what_we_read(path, sweeps):
    """Each value as W&B's agent writes it behind ``--cfg-options``, read as a training reads it."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    for name, entry in sweeps(path).content['parameters'].items():
        for index, value in enumerate(entry.get('values', [entry.get('value')])):
            words = create_sweep_command_args({'args': {name: {'value': value}}})['args_no_hyphens']
            assert read_options(words) == {name: sweeps(path).parameters[name][index]}
