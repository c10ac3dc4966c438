import pytest
from fake_tissue import make_fake, write_tile

from arml.datasets.layout import find_split, list_tiles
from arml.errors import DataError


@pytest.mark.parametrize('train', ['train', 'training'])
@pytest.mark.parametrize('val', ['val', 'valid'])
@pytest.mark.parametrize('flat', [True, False])
def test_find_split__layout_variants(tmp_path, train, val, flat):
    root = make_fake(tmp_path, train, val, flat)
    assert len(list_tiles(find_split(root, 'train').images)) == 4
    assert find_split(root, 'train').masks is None
    found = find_split(root, 'val')
    assert found == (root / val / 'img', root / val / 'mask')
    assert len(list_tiles(find_split(root, 'test').masks)) == 3


def test_find_split__train_mask(tmp_path):
    root = make_fake(tmp_path)
    (root / 'train_mask').mkdir()
    assert find_split(root, 'train').masks == root / 'train_mask'


def test_find_split__no_root_says_layout_and_hint(tmp_path):
    with pytest.raises(DataError, match=r'(?s)no such folder.*val/mask/.*run the converter'):
        find_split(tmp_path / 'none', 'train', 'run the converter')


def test_find_split__root_is_a_file(tmp_path):
    with pytest.raises(DataError, match='it is a file'):
        find_split(write_tile(tmp_path / 'a.png'), 'train')


def test_find_split__missing_split_says_what_is_there(tmp_path):
    (tmp_path / 'stuff').mkdir()
    with pytest.raises(DataError, match=r'no folder of the val split \(val or .*found stuff'):
        find_split(tmp_path, 'val')


def test_find_split__two_claim_the_split(tmp_path):
    (tmp_path / 'train').mkdir()
    (tmp_path / 'training').mkdir()
    with pytest.raises(DataError, match='both train/ and training/'):
        find_split(tmp_path, 'train')


def test_find_split__unknown_split(tmp_path):
    with pytest.raises(DataError, match="split 'dev': expected one of"):
        find_split(tmp_path, 'dev')


def test_list_tiles__png_only_sorted_and_not_hidden(tmp_path):
    for name in ('b.png', 'a.PNG', '.c.png'):
        write_tile(tmp_path / 'x.png').rename(tmp_path / name)
    (tmp_path / 'readme.txt').touch()
    assert [path.name for path in list_tiles(tmp_path)] == ['a.PNG', 'b.png']
