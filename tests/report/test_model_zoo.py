"""The model zoo: a line a config, every figure from the ledger, and OpenMMLab's index of it."""

import yaml
from conftest import ROOT
from fake_ledger import finished

from arml.report.model_zoo import metafile, models_of, zoo_page

DENSE = 'configs/baselines/full_supervision/pspnet_tiny_ebhi.py'
WEAK = {'classifier': {}, 'pseudo_masks': {}, 'segmentor': {}}


def line(seed, miou, config='configs/oeem/oeem_tiny_ebhi.py', **more):
    given = {'config_file': config, 'title': 'OEEM', 'dataset': 'EBHI', 'stages': WEAK, **more}
    return finished({'method': 'oeem', 'randomness.seed': seed}, miou, f'{config}-{seed}', **given)


LINES = [
    line(1, 42.0), line(0, 41.0),
    line(0, 50.0, 'configs/baselines/pspnet_tiny_ebhi.py', title='PSPNet'),
    line(0, 70.0, DENSE, title='PSPNet (dense)', stages={'classifier': {}, 'segmentor': {}}),
]  # fmt: skip


def test_models_of__one_a_config():
    oeem, pspnet, dense = sorted(models_of(LINES), key=lambda model: model.title)
    assert (oeem.title, oeem.seeds, oeem.commits) == ('OEEM', [0, 1], ['abcdef0'])
    assert oeem.scores('segmentor', 'mIoU') == [41.0, 42.0]
    assert oeem.scores('maps', 'mIoU') == [36.0, 37.0]
    assert oeem.scores('segmentor', 'no such score') == []
    assert pspnet.seeds == [0]
    assert [model.is_dense for model in (oeem, pspnet, dense)] == [False, False, True]


def test_zoo_page__has_the_figures():
    page = zoo_page(models_of(LINES), 'the command')
    assert '## EBHI' in page
    rows = {text.split('|')[1].strip(): text for text in page.splitlines() if text[:2] == '| '}
    cells = [cell.strip() for cell in rows['OEEM'].split('|')[3:8]]
    scores = ['36.50', '41.50', '53.50', '56.50']
    assert cells == ['image labels', *(f'{score} ± 0.71' for score in scores)]
    assert '| dense masks' in rows['PSPNet (dense)']
    assert '(../configs/oeem/oeem_tiny_ebhi.py)' in page
    assert 'Written by `the command`' in page
    deeper = zoo_page(models_of(LINES), 'x', 'docs/deep/er')
    assert '(../../../configs/oeem/oeem_tiny_ebhi.py)' in deeper


def test_metafile__files_of_one_stem_have_names_of_their_own():
    names = [model['Name'] for model in yaml.safe_load(metafile(models_of(LINES), 'x'))['Models']]
    assert names == [
        'baselines/full_supervision/pspnet_tiny_ebhi', 'baselines/pspnet_tiny_ebhi', 'oeem/oeem_tiny_ebhi',
    ]  # fmt: skip


def test_metafile__is_openmmlabs():
    text = metafile(models_of(LINES), 'the command')
    assert text.startswith('# Written by the command')
    content = yaml.safe_load(text)
    collections = {each['Name']: each for each in content['Collections']}
    assert set(collections) == {'OEEM', 'PSPNet', 'PSPNet (dense)'}
    assert collections['OEEM'] == {
        'Name': 'OEEM', 'License': 'Apache-2.0', 'Metadata': {'Training Data': ['EBHI']},
        'README': 'docs/model_zoo.md', 'Frameworks': ['PyTorch'],
    }  # fmt: skip
    arml = metafile(models_of([line(0, 50.0, 'configs/arml_tiny_ebhi.py', title='ARML')]), 'x')
    assert 'Mining Gold' in yaml.safe_load(arml)['Collections'][0]['Paper']['Title']
    dense, _, oeem = content['Models']
    assert oeem == {
        'Name': 'oeem/oeem_tiny_ebhi', 'In Collection': 'OEEM',
        'Config': 'configs/oeem/oeem_tiny_ebhi.py', 'Framework': 'PyTorch',
        # a reader of it (mim) joins lists of texts
        'Metadata': {
            'Training Data': 'EBHI', 'Supervision': 'image labels', 'Protocol': 'A', 'Seeds': ['0', '1'],
            'Commits': ['abcdef0'],
        },
        'Results': [{
            'Task': 'Weakly Supervised Semantic Segmentation', 'Dataset': 'EBHI',
            'Metrics': {
                f'{name}{of}{what}': value
                for of, less in (('', 0.0), (' of its maps', 5.0))
                for name, mean in (('mIoU', 41.5), ('mDice', 53.5), ('ACC', 56.5))
                for what, value in (('', mean - less), (', standard deviation', 0.71))
            },
        }],
    }  # fmt: skip
    assert dense['Results'][0]['Task'] == 'Semantic Segmentation'
    assert dense['Metadata']['Supervision'] == 'dense masks'


def test_index__names_the_file_and_it_names_what_there_is():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index == {'Import': ['configs/metafile.yml']}
    content = yaml.safe_load((ROOT / index['Import'][0]).read_text())
    assert content['Models']
    for model in content['Models']:
        assert (ROOT / model['Config']).is_file()
        assert model['In Collection'] in {each['Name'] for each in content['Collections']}
