import json
import zipfile

import pytest
from fake_tissue import make_fake, quarters, write_mask, write_tile

from arml.datasets import BCSSDataset, LUADHistoSegDataset
from arml.datasets.checker import check
from arml.datasets.conversion.report import format_conversion
from arml.datasets.conversion.weak import convert_weak, plan
from arml.datasets.fingerprint import fingerprint
from arml.errors import DataError


@pytest.fixture
def published(tmp_path):
    return make_fake(tmp_path / 'published')


def _zip(folder, path, above=''):
    with zipfile.ZipFile(path, 'w') as archive:
        for file in sorted(folder.rglob('*')):
            archive.write(file, above + file.relative_to(folder).as_posix())
    return path


def _content(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file() and path.name != 'manifest.json'
    }


@pytest.mark.parametrize('train', ['train', 'training'])
@pytest.mark.parametrize('val', ['val', 'valid'])
@pytest.mark.parametrize('flat', [True, False])
@pytest.mark.parametrize('form', ['folder', 'zip', 'zip with a top folder'])
def test_convert__published_layouts_give_the_same(tmp_path, published, train, val, flat, form):
    source = make_fake(tmp_path / 'other', train, val, flat)
    if form != 'folder':
        above = 'BCSS-WSSS/' if 'top' in form else ''
        source = _zip(source, tmp_path / 'a.zip', above)
    out = tmp_path / 'data' / 'bcss'
    result = convert_weak(BCSSDataset, [source], out)
    assert _content(out) == _content(published)
    assert result.counts == {'train': 4, 'val': 2, 'test': 3}
    assert result.labels == {'1101': 1, '1000': 1, '0100': 1, '0010': 1}
    assert check(BCSSDataset, out, counts=result.counts) == []
    assert len(BCSSDataset(str(out), 'val', masks='dense')) == 2


def test_convert__manifest(tmp_path, published):
    out = tmp_path / 'bcss'
    result = convert_weak(BCSSDataset, [published], out, details={'licence': 'ask'})
    manifest = json.loads((out / 'manifest.json').read_text())
    files = [path for path in out.rglob('*.png')]
    assert manifest['fingerprint'] == result.fingerprint == fingerprint(files, out)
    assert manifest['counts'] == {'train': 4, 'val': 2, 'test': 3}
    assert manifest['masks'] == {'val': 'val/mask', 'test': 'test/mask'}
    assert manifest['classes'] == ['TUM', 'STR', 'LYM', 'NEC']
    assert manifest['sources'] == ['published']
    assert manifest['licence'] == 'ask'
    assert [fault['field'] for fault in manifest['warnings']] == ['count'] * 3


def test_convert__table(tmp_path, published):
    text = format_conversion(convert_weak(BCSSDataset, [published], tmp_path / 'x'), 'data/bcss')
    lines = text.splitlines()
    assert lines[0] == 'BCSS-WSSS in data/bcss'
    assert lines[2].split() == ['train', '4', '23,422']
    assert '  [1101]            1' in lines
    assert '0 error(s), 3 warning(s)' in lines


def test_convert__luad_labels(tmp_path):
    root = tmp_path / 'luad'
    write_tile(root / 'training' / '1031280-2300-27920-[1 0 0 1].png')
    for split in ('val', 'test'):
        write_tile(root / split / 'img' / f'38{split}-1-2.png')
        write_mask(root / split / 'mask' / f'38{split}-1-2.png', quarters())
    result = convert_weak(LUADHistoSegDataset, [root], tmp_path / 'out')
    assert result.labels == {'1001': 1}
    assert (tmp_path / 'out' / 'train' / '1031280-2300-27920-[1 0 0 1].png').is_file()


def test_convert__another_set_in_the_same_layout_is_warned_about(tmp_path, published):
    """BCSS-WSSS given to luad.py."""
    result = convert_weak(LUADHistoSegDataset, [published], tmp_path / 'luad', separator=' ')
    label, colours = (f for f in result.warnings if f.field in ('label', 'value'))
    assert (label.found, label.severity) == ('[1101], so in 4 files', 'warning')
    assert label.expected == '[1 1 0 1], as LUAD-HistoSeg is published; is this LUAD-HistoSeg?'
    assert colours.found.startswith('colours [(255, 0, 0), ')
    assert colours.found.endswith('so in 5 files')
    assert colours.expected.startswith('colours [(205, 51, 51), ')
    assert colours.file.startswith('val/mask/')
    right = convert_weak(BCSSDataset, [published], tmp_path / 'bcss', separator='')
    assert {fault.field for fault in right.warnings} == {'count'}


def test_convert__all_faults_at_once_and_nothing_written(tmp_path, published):
    write_tile(published / 'train' / 'nolabel.png')
    sorted((published / 'val' / 'mask').iterdir())[0].unlink()
    write_mask(published / 'test' / 'mask' / 'surplus.png', 7)
    sorted((published / 'test' / 'img').iterdir())[0].write_bytes(b'')
    out = tmp_path / 'data' / 'bcss'
    with pytest.raises(DataError, match='(?s)nothing was written') as caught:
        convert_weak(BCSSDataset, [published], out)
    text = str(caught.value)
    for part in ('nolabel.png', 'no mask', 'a mask without tile', 'not a readable image'):
        assert part in text
    assert '4 error(s)' in text
    assert list(out.parent.iterdir()) == []


def test_convert__damaged_archive_member_is_a_fault(tmp_path, published):
    path = _zip(published, tmp_path / 'a.zip')
    content = bytearray(path.read_bytes())
    place = content.find(b'IDAT')
    content[place + 20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match='(?s)nothing was written.*Bad CRC-32'):
        convert_weak(BCSSDataset, [path], tmp_path / 'out')


def test_convert__subset(tmp_path, published):
    train = sorted(path.name for path in (published / 'train').iterdir())
    val = sorted(path.name for path in (published / 'val' / 'img').iterdir())
    test = sorted(path.name for path in (published / 'test' / 'img').iterdir())
    chosen = tmp_path / 'list.txt'
    chosen.write_text('\n'.join([f'train/{train[0]}', train[2], val[1], f'test/{test[0]}']))
    out = tmp_path / 'out'
    result = convert_weak(BCSSDataset, [published], out, subset=chosen)
    assert result.counts == result.expected == {'train': 2, 'val': 1, 'test': 1}
    assert result.warnings == []
    assert sorted(path.name for path in (out / 'train').iterdir()) == [train[0], train[2]]
    assert [path.name for path in (out / 'val' / 'mask').iterdir()] == [val[1]]
    assert json.loads((out / 'manifest.json').read_text())['subset'] == 'list.txt'


def test_convert__subset_not_in_the_source(tmp_path, published):
    chosen = tmp_path / 'list.txt'
    chosen.write_text('train/none.png\n')
    with pytest.raises(DataError, match=r'1 listed tiles are not in the source: train/none\.png'):
        convert_weak(BCSSDataset, [published], tmp_path / 'out', subset=chosen)


@pytest.mark.parametrize(('split', 'word'), [('train', 'train or training'), ('val', 'val or')])
def test_convert__split_missing(tmp_path, published, split, word):
    (published / split).rename(tmp_path / 'gone')
    with pytest.raises(DataError, match=f'no tile of the {split} split .a folder {word}'):
        convert_weak(BCSSDataset, [published], tmp_path / 'out')


def test_convert__existing_and_force(tmp_path, published):
    out = tmp_path / 'out'
    convert_weak(BCSSDataset, [published], out)
    with pytest.raises(DataError, match='already there'):
        convert_weak(BCSSDataset, [published], out)
    convert_weak(BCSSDataset, [published], out, force=True)
    assert len(list(out.rglob('*.png'))) == 14


def test_plan__two_files_for_one_place():
    names = ['val/img/a.png', 'val/a.png', 'train/b.png', 'test/c.png']
    with pytest.raises(DataError, match=r'both would become val/img/a\.png'):
        plan(names)


def test_plan__places():
    names = ['X/training/a.png', 'X/Valid/img/b.png', 'X/test/mask/c.png', 'X/logo.png']
    members, ignored = plan([*names, 'X/train/mask/d.png', 'X/test/notes/e.png'])
    assert [member.target for member in members] == [
        'train/a.png',
        'val/img/b.png',
        'test/mask/c.png',
    ]
    assert ignored == ['X/logo.png', 'X/train/mask/d.png', 'X/test/notes/e.png']
