"""The model zoo: configs as shipped, one line each, every figure from the ledger."""

import yaml
from fake_ledger import failed, finished

from arml.report.model_zoo import metafile, models_of, zoo_page

PLACES = ['data_root=data/x', 'store=y']


def line(seed, miou, run, config='configs/oeem/oeem_tiny_ebhi.py', **more):
    given = {'config_file': config, 'title': 'OEEM', 'fixed': PLACES, 'dataset': 'EBHI', **more}
    return finished({'method': 'oeem', 'randomness.seed': seed}, miou, run, **given)


LINES = [
    line(1, 42.0, 'b'), line(0, 40.0, 'a'), line(0, 41.0, 'a'),
    # neither of these is a shipped config as it is
    finished({'model.swv.omega': 3}, 99.0, 'c', config_file='configs/arml_tiny_ebhi.py'),
    line(0, 99.0, 'd', fixed=['train_cfg.max_epochs=1']),
    line(0, 99.0, 'e', config_file=None),
    {**failed({'method': 'oeem'}, 'f'), 'config_file': 'configs/x.py'},
    line(0, 50.0, 'g', 'configs/baselines/pspnet_tiny_ebhi.py', title='PSPNet'),
]  # fmt: skip


def test_models_of__what_counts():
    oeem, pspnet = sorted(models_of(LINES), key=lambda model: model.title)
    assert (oeem.title, oeem.seeds, oeem.commits) == ('OEEM', [0, 1], ['abcdef0'])
    assert oeem.scores('segmentor', 'mIoU') == [41.0, 42.0]
    assert oeem.scores('maps', 'mIoU') == [36.0, 37.0]
    assert oeem.scores('segmentor', 'no such score') == []
    assert pspnet.seeds == [0]


def test_zoo_page__has_the_figures():
    page = zoo_page(models_of(LINES), 'the command')
    assert '## EBHI' in page
    (row,) = [text for text in page.splitlines() if text.startswith('| OEEM')]
    scores = ['36.50', '41.50', '53.50', '56.50']
    assert [cell.strip() for cell in row.split('|')[3:7]] == [f'{score} ± 0.71' for score in scores]
    assert '(../configs/oeem/oeem_tiny_ebhi.py)' in page
    assert '99' not in page
    assert 'Written by `the command`' in page


def test_metafile__files_of_one_stem_have_names_of_their_own():
    folders = ('configs/baselines', 'configs/baselines/full_supervision')
    lines = [line(0, 50.0, folder, f'{folder}/pspnet_tiny_ebhi.py') for folder in folders]
    names = [model['Name'] for model in yaml.safe_load(metafile(models_of(lines), 'x'))['Models']]
    assert names == ['baselines/full_supervision/pspnet_tiny_ebhi', 'baselines/pspnet_tiny_ebhi']


def test_metafile__is_openmmlabs():
    text = metafile(models_of(LINES), 'the command')
    assert text.startswith('# Written by the command')
    content = yaml.safe_load(text)
    assert {c['Name'] for c in content['Collections']} == {'OEEM', 'PSPNet'}
    assert not any('Paper' in c for c in content['Collections'])  # it is ARML's
    arml = metafile(models_of([line(0, 50.0, 'h', 'configs/arml_tiny_ebhi.py', title='ARML')]), 'x')
    assert 'Mining Gold' in yaml.safe_load(arml)['Collections'][0]['Paper']['Title']
    (oeem,) = [m for m in content['Models'] if m['In Collection'] == 'OEEM']
    assert oeem['Name'] == 'oeem/oeem_tiny_ebhi'
    assert oeem['Results'][0]['Metrics'] == {'mIoU': 41.5, 'mDice': 53.5, 'ACC': 56.5}
    assert oeem['Metadata'] == {'Seeds': [0, 1], 'Commits': ['abcdef0']}
