import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arml.datasets import EBHIDataset
from arml.datasets.checker import check
from arml.datasets.conversion import ebhi as module
from arml.datasets.conversion.ebhi import builtin_list, convert_ebhi, index, read_list
from arml.datasets.conversion.ebhi_masks import class_mask, find_glass, window
from arml.datasets.conversion.ebhi_whole import plan_whole, split_by_hash
from arml.datasets.transforms import read_raw_mask
from arml.errors import DataError

HEADER = ('file', 'split', 'folder', 'source', 'x', 'y', 'side')


def draw(seed: int, glass: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return a tile with a bright strip at the left, and an annotation of its middle."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 180, (224, 224, 3), dtype=np.uint8)
    image[:, :glass] = rng.integers(236, 242, (224, glass, 3), dtype=np.uint8)
    annotation = np.zeros((224, 224), np.uint8)
    annotation[40:120, 30:150] = 255
    return image, annotation


@pytest.fixture
def archive(tmp_path):
    """Five tiles of five cases, one of them without annotation, and an unused folder."""
    names = {
        'Adenocarcinoma': ['GT2012118-1-400-002', 'GTXC2012119-1-400-001'],
        'Normal': ['GT2012120-1-400-001'],
        'Low-grade IN': ['GTxc2012121-1-400-001', 'GT2012149-2-400-001'],
        'Serrated adenoma': ['GT2012122-1-400-001'],
    }
    root = tmp_path / 'source' / 'EBHI-SEG'
    for folder, stems in names.items():
        for number, stem in enumerate(stems):
            image, annotation = draw(number)
            for kind, array in (('image', image), ('label', annotation)):
                path = root / folder / kind / f'{stem}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
    (root / 'Low-grade IN' / 'label' / 'GT2012149-2-400-001.png').unlink()
    return tmp_path / 'source'


ROWS = [
    ('train/GT2012118-1-400-002_AC+0[1100].png', 'train', 'Adenocarcinoma')
    + ('GT2012118-1-400-002.png', '0', '0', '224'),
    ('train/GT2012118-1-400-002_AC+1[1000].png', 'train', 'Adenocarcinoma')
    + ('GT2012118-1-400-002.png', '60', '40', '80'),
    ('val/img/GT2012120-1-400-001_NO+0.png', 'val', 'Normal')
    + ('GT2012120-1-400-001.png', '0', '0', '224'),
    ('test/img/GTxc2012121-1-400-001_LG+0.png', 'test', 'Low-grade IN')
    + ('GTxc2012121-1-400-001.png', '0', '0', '224'),
]


def _list(path, rows=ROWS, header=HEADER):
    with path.open('w', newline='') as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def _change(**fields):
    """Return ROWS with the first row changed."""
    row = dict(zip(HEADER, ROWS[0], strict=True)) | fields
    return [tuple(row.values()), *ROWS[1:]]


def _naive_glass(image):
    height, width, _ = image.shape
    white = [sorted(image[..., c].ravel().tolist()) for c in range(3)]
    place = 0.995 * (height * width - 1)
    low, part = int(place), place - int(place)
    white = [v[low] + part * (v[low + 1] - v[low]) for v in white]
    if sum(white) / 3 < 150:
        return np.zeros((height, width), bool)
    tile = [[[min(image[y, x, c] / white[c], 1.1) for c in range(3)] for x in range(width)]
            for y in range(height)]  # fmt: skip

    def around(values, y, x, reach):
        rows = [min(max(y + dy, 0), height - 1) for dy in range(-reach, reach + 1)]
        columns = [min(max(x + dx, 0), width - 1) for dx in range(-reach, reach + 1)]
        return [values[r][c] for r in rows for c in columns]

    grid = range(height), range(width)
    grey = [[sum(tile[y][x]) / 3 for x in grid[1]] for y in grid[0]]
    spread = [[max(tile[y][x]) - min(tile[y][x]) for x in grid[1]] for y in grid[0]]
    glass = np.zeros((height, width))
    for y in grid[0]:
        for x in grid[1]:
            near = around(grey, y, x, 3)
            mean = sum(near) / 49
            deviation = (sum((v - mean) ** 2 for v in near) / 49) ** 0.5
            colour = sum(around(spread, y, x, 2)) / 25
            glass[y, x] = mean > 0.84 and deviation < 0.06 and colour < 0.15
    major = [[sum(around(glass, y, x, 4)) / 81 > 0.5 for x in grid[1]] for y in grid[0]]
    return np.array([[sum(around(major, y, x, 4)) / 81 > 0.02 for x in grid[1]] for y in grid[0]])


def test_find_glass__naive():
    rng = np.random.default_rng(0)
    image = rng.integers(60, 200, (30, 26, 3), dtype=np.uint8)
    image[4:25, :14] = rng.integers(225, 245, (21, 14, 3), dtype=np.uint8)
    image[10, 5] = 100
    found = find_glass(image)
    assert np.array_equal(found, _naive_glass(image))
    assert 0 < found.sum() < found.size


def test_find_glass__dark_or_coloured_tiles_have_none():
    assert not find_glass(np.full((20, 20, 3), 140, np.uint8)).any()
    assert find_glass(np.full((20, 20, 3), 160, np.uint8)).all()
    coloured = np.full((40, 40, 3), 240, np.uint8)
    coloured[5:35, 5:35, 1] = 150
    assert not find_glass(coloured)[12:28, 12:28].any()


@pytest.mark.parametrize(
    ('folder', 'value'),
    [('Adenocarcinoma', 0), ('Normal', 2), ('Polyp', 2), ('Low-grade IN', 3), ('High-grade IN', 3)],
)
def test_class_mask__gland_stroma_glass(folder, value):
    image, annotation = draw(0)
    annotation[0, 200], annotation[0, 201] = 127, 128
    mask = class_mask(image, annotation, folder)
    assert mask[80, 100] == value
    assert mask[80, 45] == value  # a lumen belongs to its gland
    assert mask[10, 10] == 4
    assert mask[200, 200] == 1
    assert (mask[0, 200], mask[0, 201]) == (1, value)


def test_window__bicubic_and_nearest():
    image, annotation = draw(1)
    assert window(image, annotation, 0, 0, 224)[0].shape == (224, 224, 3)
    tile, mask = window(image, annotation, 20, 30, 112)
    cut = Image.fromarray(image).crop((20, 30, 132, 142))
    assert np.array_equal(tile, np.array(cut.resize((224, 224), Image.Resampling.BICUBIC)))
    assert np.array_equal(mask, annotation[30:142, 20:132].repeat(2, axis=0).repeat(2, axis=1))


def test_convert__list(archive, tmp_path):
    out = tmp_path / 'data' / 'ebhi'
    result = convert_ebhi([archive], out, subset=_list(tmp_path / 'list.csv'))
    assert result.counts == result.expected == {'train': 2, 'val': 1, 'test': 1}
    assert result.labels == {'1100': 1, '1000': 1}
    assert result.warnings == []
    assert check(EBHIDataset, out, counts=result.counts) == []
    image, annotation = draw(0)
    expected = class_mask(image, annotation, 'Adenocarcinoma')
    name = 'GT2012118-1-400-002_AC+0[1100].png'
    assert np.array_equal(np.array(Image.open(out / 'train' / name)), image)
    mask = Image.open(out / 'train_mask' / name)
    assert mask.mode == 'P'
    assert mask.getpalette()[:15] == [205, 51, 51, 0, 255, 0, 65, 105, 225, 255, 165, 0] + [255] * 3
    assert np.array_equal(np.array(mask), expected)
    small = read_raw_mask(out / 'train_mask' / 'GT2012118-1-400-002_AC+1[1000].png')
    assert small.shape == (224, 224)
    assert (small == 0).all()
    manifest = json.loads((out / 'manifest.json').read_text())
    assert manifest['masks'] == {'train': 'train_mask', 'val': 'val/mask', 'test': 'test/mask'}
    assert manifest['subset'] == 'list.csv'


def test_convert__listed_pixels_are_verified(archive, tmp_path):
    image, annotation = draw(0)
    mask = class_mask(image, annotation, 'Adenocarcinoma')
    hashes = [hashlib.sha256(array.tobytes()).hexdigest() for array in (image, mask)]
    header = (*HEADER, 'source_sha256', 'tile_sha256', 'mask_sha256')
    rest = [(*row, '', '', '') for row in ROWS[1:]]
    good = _list(tmp_path / 'a.csv', [(*ROWS[0], 'f' * 64, *hashes), *rest], header)
    result = convert_ebhi([archive], tmp_path / 'out', subset=good)
    assert result.notes == [
        '1 of 1 tiles and 1 of 1 masks are the listed ones, pixel by pixel',
        '1 source files are other files than the listed ones',
    ]
    bad = _list(tmp_path / 'b.csv', [(*ROWS[0], '', hashes[0], 'f' * 64), *rest], header)
    with pytest.raises(DataError, match='(?s)nothing was written.*mask  other pixels; expected'):
        convert_ebhi([archive], tmp_path / 'out2', subset=bad)
    assert not (tmp_path / 'out2').exists()


def test_convert__listed_label_against_mask(archive, tmp_path):
    rows = _change(file='train/GT2012118-1-400-002_AC+0[0010].png')
    result = convert_ebhi([archive], tmp_path / 'o', subset=_list(tmp_path / 'l.csv', rows))
    assert [fault.field for fault in result.warnings] == ['label', 'label']
    assert result.warnings[0].expected == '(1, 1, 0, 0) by mask'


def test_convert__damaged_source(archive, tmp_path):
    path = archive / 'EBHI-SEG' / 'Normal' / 'label' / 'GT2012120-1-400-001.png'
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r'(?s)nothing was written.*001\.png: not a readable image'):
        convert_ebhi([archive], tmp_path / 'out', subset=_list(tmp_path / 'l.csv'))
    Image.new('L', (100, 90)).save(path)
    with pytest.raises(DataError, match='(?s)nothing was written.*100x90; expected a 224x224'):
        convert_ebhi([archive], tmp_path / 'out', subset=_list(tmp_path / 'l.csv'))


def test_convert__listed_file_missing(archive, tmp_path):
    (archive / 'EBHI-SEG' / 'Normal' / 'label' / 'GT2012120-1-400-001.png').unlink()
    with pytest.raises(DataError, match=r'1 files of the list are not .*Normal/label/GT2012120'):
        convert_ebhi([archive], tmp_path / 'out', subset=_list(tmp_path / 'l.csv'))


def test_convert__another_archive(tmp_path):
    (tmp_path / 'source').mkdir()
    with pytest.raises(DataError, match='no folder of EBHI-Seg in the source .*no PNG file'):
        convert_ebhi([tmp_path / 'source'], tmp_path / 'out', subset=_list(tmp_path / 'l.csv'))
    with pytest.raises(DataError, match=r'found x/a\.png'):
        index(['x/a.png'])


@pytest.mark.parametrize(
    'fields',
    [{'split': 'dev'}, {'folder': 'Serrated adenoma'}, {'x': '-1'}, {'side': '0'}, {'y': '1'}],
)
def test_read_list__row_out_of_range(tmp_path, fields):
    with pytest.raises(DataError, match=r'the row of train/GT2012118.*expected train/val/test'):
        read_list(_list(tmp_path / 'l.csv', _change(**fields)))


def test_read_list__row_not_usable(tmp_path):
    with pytest.raises(DataError, match='is not usable .*expected the columns split'):
        read_list(_list(tmp_path / 'l.csv', _change(x='left')))


def test_read_list__names_of_the_projects_list(tmp_path):
    path = tmp_path / 'some.txt'
    known = [row['file'] for row in builtin_list()]
    path.write_text('\n'.join(known[5:8]))
    assert [tile.name for tile in read_list(path)] == [name.split('/')[-1] for name in known[5:8]]
    path.write_text('train/none[1000].png\n')
    with pytest.raises(DataError, match=r"none.*is not in the project's list of tiles"):
        read_list(path)


def test_builtin_list__371_tiles():
    tiles = read_list('ebhi_tissue')
    counts = {
        split: sum(tile.split == split for tile in tiles) for split in ('train', 'val', 'test')
    }
    assert counts == EBHIDataset.PUBLISHED_COUNTS
    assert sum(tile.side != 224 for tile in tiles) == 125
    assert len({tile.name for tile in tiles}) == 371
    assert all(tile.tile_sha256 and tile.mask_sha256 and tile.source_sha256 for tile in tiles)
    cases = {row['case']: set() for row in builtin_list()}
    for row in builtin_list():
        cases[row['case']].add(row['split'])
    assert all(len(splits) == 1 for splits in cases.values())
    lists = Path(module.__file__).parents[1] / 'lists' / 'ebhi_tissue.csv'
    assert read_list(lists) == tiles


def test_plan_whole__annotated_tiles_of_five_folders(archive):
    names = [path.relative_to(archive).as_posix() for path in archive.rglob('*.png')]
    listed = [{'case': '2012118', 'split': 'val'}]
    plan = list(plan_whole(index(names), listed))
    assert [entry['name'] for entry in plan] == [
        'GT2012118-1-400-002_AC+0.png',
        'GTXC2012119-1-400-001_AC+0.png',
        'GTxc2012121-1-400-001_LG+0.png',
        'GT2012120-1-400-001_NO+0.png',
    ]
    assert plan[0]['split'] == 'val'
    assert plan[1]['split'] == split_by_hash('2012119')


def test_plan_whole__immunostains_left_out():
    names = [('Normal', kind, f'GT2100256-1-400-00{n}.png') for kind in ('image', 'label')
             for n in (3, 4, 5)]  # fmt: skip
    plan = plan_whole(dict.fromkeys(names, ''), [])
    assert [entry['source'] for entry in plan] == ['GT2100256-1-400-003.png']


def test_split_by_hash__shares():
    splits = [split_by_hash(f'{2012000 + number}') for number in range(2000)]
    assert 160 < splits.count('val') < 240
    assert 340 < splits.count('test') < 460


def test_convert__whole_is_split_by_case(archive, tmp_path, monkeypatch):
    listed = [
        {'case': '2012118', 'split': 'train'},
        {'case': '2012119', 'split': 'train'},
        {'case': '2012120', 'split': 'val'},
        {'case': '2012121', 'split': 'test'},
    ]
    monkeypatch.setattr(module, 'builtin_list', lambda: listed)
    result = convert_ebhi([archive], tmp_path / 'out')
    assert result.counts == {'train': 2, 'val': 1, 'test': 1}
    assert result.expected == {}
    names = sorted(path.name for path in (tmp_path / 'out' / 'train').iterdir())
    assert names == ['GT2012118-1-400-002_AC+0[1100].png', 'GTXC2012119-1-400-001_AC+0[1100].png']
    assert check(EBHIDataset, tmp_path / 'out', counts={}) == []
