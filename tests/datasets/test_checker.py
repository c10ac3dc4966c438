import numpy as np
import pytest
from fake_tissue import make_fake, quarters, write_mask, write_tile

from arml.datasets import BCSSDataset, EBHIDataset, SyntheticTissueDataset
from arml.datasets.checker import Fault, check, format_faults, has_errors

COUNTS = {'train': 4, 'val': 2, 'test': 3}


@pytest.fixture
def root(tmp_path):
    return make_fake(tmp_path)


def _first(folder):
    return sorted(folder.iterdir())[0]


def _only(root, deep=True, counts=COUNTS, dataset=BCSSDataset):
    faults = check(dataset, root, deep=deep, counts=counts)
    assert len(faults) == 1, format_faults(faults)
    return faults[0]


@pytest.mark.parametrize('deep', [True, False])
def test_check__sound_folder(root, deep):
    assert check(BCSSDataset, root, deep=deep, counts=COUNTS) == []


def test_check__missing_folder(tmp_path):
    fault = check(BCSSDataset, tmp_path / 'none')[0]
    assert (fault.severity, fault.field) == ('error', 'split')
    assert 'no such folder' in fault.found
    assert len(check(BCSSDataset, tmp_path / 'none')) == 1


def test_check__missing_split(root):
    (root / 'test').rename(root / 'other')
    fault = _only(root)
    assert (fault.severity, fault.file, fault.field) == ('error', 'test', 'split')


def test_check__empty_split(root):
    for path in (root / 'train').iterdir():
        path.unlink()
    fault = _only(root)
    assert (fault.severity, fault.field, fault.found) == ('error', 'split', 'train is empty')


def test_check__other_count_is_a_warning(root):
    faults = check(BCSSDataset, root, deep=False)
    assert [fault.found for fault in faults] == ['4 tiles', '2 tiles', '3 tiles']
    assert '23422' in faults[0].expected
    assert not has_errors(faults)
    assert check(SyntheticTissueDataset, root) == []


@pytest.mark.parametrize(
    ('name', 'severity', 'found'),
    [
        ('a.png', 'error', 'no image-level label'),
        ('a[1x01].png', 'error', r'malformed'),
        ('a[11011].png', 'error', '5 digits'),
        ('a[0000].png', 'warning', 'all zeros'),
    ],
)
def test_check__labels(root, name, severity, found):
    _first(root / 'train').rename(root / 'train' / name)
    fault = _only(root, deep=False)
    assert (fault.severity, fault.file, fault.field) == (severity, f'train/{name}', 'label')
    assert found in fault.found
    assert fault.expected


def test_check__missing_mask(root):
    gone = _first(root / 'val' / 'mask')
    gone.unlink()
    fault = _only(root, deep=False)
    assert (fault.severity, fault.file, fault.found) == ('error', f'val/img/{gone.name}', 'no mask')
    assert fault.expected == f'val/mask/{gone.name}'


def test_check__surplus_mask(root):
    write_mask(root / 'test' / 'mask' / 'more.png', 0)
    fault = _only(root, deep=False)
    assert (fault.severity, fault.file) == ('error', 'test/mask/more.png')
    assert fault.found == 'a mask without tile'


def test_check__no_mask_folder(root):
    (root / 'val' / 'mask').rename(root / 'val' / 'other')
    fault = _only(root)
    assert (fault.severity, fault.file, fault.field) == ('error', 'val', 'mask')


def test_check__size_mismatch_needs_deep(root):
    mask = write_mask(_first(root / 'val' / 'mask'), 0, size=8)
    assert check(BCSSDataset, root, deep=False, counts=COUNTS) == []
    fault = _only(root)
    assert (fault.severity, fault.file, fault.field) == ('error', f'val/mask/{mask.name}', 'size')
    assert (fault.found, fault.expected) == ('8x8', '16x16, as the tile')


def test_check__a_tile_of_another_size_than_the_split(root):
    name = _first(root / 'test' / 'img').name
    write_tile(root / 'test' / 'img' / name, size=12)
    write_mask(root / 'test' / 'mask' / name, 0, size=12)
    fault = _only(root)
    assert (fault.severity, fault.file) == ('warning', f'test/img/{name}')
    assert (fault.field, fault.found) == ('size', '12x12')
    assert fault.expected.startswith('16x16, as most tiles')


def test_check__unreadable_image(root):
    image = _first(root / 'train')
    image.write_bytes(b'\x89PNG\r\n\x1a\n nothing more')
    fault = _only(root)
    assert (fault.severity, fault.file, fault.field) == ('error', f'train/{image.name}', 'image')
    assert 'not a readable image' in fault.found


@pytest.mark.parametrize('value', [5, 255])
def test_check__value_out_of_range(root, value):
    values = quarters()
    values[0, :3] = value
    mask = write_mask(_first(root / 'test' / 'mask'), values)
    fault = _only(root)
    assert (fault.severity, fault.file, fault.field) == ('error', f'test/mask/{mask.name}', 'value')
    assert (fault.found, fault.expected) == (f'mask value {value} (3 pixels)', '0 to 4')


def test_check__mask_of_colours(root):
    mask = write_tile(_first(root / 'test' / 'mask'))
    fault = _only(root)
    assert (fault.file, fault.field) == (f'test/mask/{mask.name}', 'mask')
    assert "mode 'RGB'" in fault.found


def test_check__case_in_two_splits(root):
    name = 'TCGA-B1-A000-DX1_xmin9_ymin9_MPP-0.2500+7'
    write_tile(root / 'train' / f'{name}[1000].png')
    fault = _only(root, deep=False, counts={})
    assert (fault.severity, fault.file) == ('warning', 'case TCGA-B1-A000')
    assert fault.found == 'tiles in train (1), val (1)'


@pytest.mark.parametrize(
    ('first', 'second', 'same'),
    [
        ('GT2012118-1-400-002_AC+0', 'GTxc2012118-3-400-009_LG+0', True),
        ('GT2012118-1-400-002_AC+0', 'GT2012119-1-400-002_AC+0', False),
    ],
)
def test_check__case_of_ebhi_is_the_number(tmp_path, first, second, same):
    write_tile(tmp_path / 'train' / f'{first}[1000].png')
    write_tile(tmp_path / 'val' / 'img' / f'{second}.png')
    write_mask(tmp_path / 'val' / 'mask' / f'{second}.png', 0)
    faults = check(EBHIDataset, tmp_path, ('train', 'val'), counts={})
    assert [fault.file for fault in faults] == (['case 2012118'] if same else [])


def test_check__label_against_dense_mask(root):
    for image in (root / 'train').iterdir():
        label = [int(digit) for digit in image.name.split('[')[1][:4]]
        mask = np.zeros((16, 16), np.uint8) + 4
        for value, present in enumerate(label):
            mask[value] = value if present else 4
        write_mask(root / 'train_mask' / image.name, mask)
    assert check(BCSSDataset, root, counts=COUNTS) == []
    write_mask(_first(root / 'train_mask'), 2)
    fault = _only(root)
    assert (fault.severity, fault.field) == ('warning', 'label')
    assert (fault.found, fault.expected) == ('(1, 1, 0, 1) in the name', '(0, 0, 1, 0) by the mask')


def test_check__other_image_kind(root):
    (root / 'train' / 'x.jpg').touch()
    fault = _only(root)
    assert (fault.severity, fault.file) == ('warning', 'train/x.jpg')


def test_check__all_faults_at_once_errors_first(root):
    _first(root / 'train').rename(root / 'train' / 'a[0000].png')
    write_tile(root / 'train' / 'b.png')
    _first(root / 'val' / 'mask').unlink()
    write_mask(_first(root / 'test' / 'mask'), 9)
    faults = check(BCSSDataset, root, counts=COUNTS)
    severities = [fault.severity for fault in faults]
    assert severities == sorted(severities)
    assert sorted(fault.field for fault in faults) == ['count', 'label', 'label', 'mask', 'value']


def test_check__progress(root):
    seen = []
    check(BCSSDataset, root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 9) for done in range(1, 10)]


def test_format_faults__table_and_limit():
    faults = [Fault('error', f'train/{n}.png', 'image', 'cut off', 'a PNG') for n in range(3)]
    text = format_faults(faults, limit=2).splitlines()
    assert text[0] == 'error  train/0.png  image  cut off; expected a PNG'
    assert text[2:] == ['... and 1 more', '3 error(s), 0 warning(s)']
    assert format_faults([]) == '0 error(s), 0 warning(s)'
