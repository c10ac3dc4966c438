"""The real EBHI tiles, where this machine has them."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from real_tiles import ROOT, needs_real_tiles

from arml.datasets import EBHIDataset
from arml.datasets.checker import check, format_faults
from arml.datasets.conversion.ebhi import builtin_list, pixel_sha256
from arml.datasets.transforms import decode_tile, read_raw_mask

pytestmark = needs_real_tiles


def test_real__checker_finds_no_fault():
    # Among others: 257/42/72 tiles, no case in two splits, labels as the dense masks say.
    faults = check(EBHIDataset, ROOT)
    assert faults == [], format_faults(faults)


def test_real__counts_and_labels():
    counts = {split: len(EBHIDataset(str(ROOT), split)) for split in ('train', 'val', 'test')}
    assert counts == {'train': 257, 'val': 42, 'test': 72}
    train = EBHIDataset(str(ROOT), 'train')
    labels = Counter(''.join(map(str, info['image_label'])) for info in train)
    assert labels == {
        '1100': 52, '1000': 20, '0110': 58, '0101': 58, '0100': 41, '0010': 14, '0001': 14,
    }  # fmt: skip


def test_real__every_tile_and_mask_is_the_listed_one():
    for row in builtin_list():
        tile = ROOT / row['file']
        mask = ROOT / row['file'].replace('train/', 'train_mask/').replace('/img/', '/mask/')
        assert pixel_sha256(decode_tile(tile)[..., ::-1]) == row['tile_sha256'], tile
        assert pixel_sha256(read_raw_mask(mask)) == row['mask_sha256'], mask


def test_real__list_is_that_of_the_set():
    if not (ROOT / 'manifest.csv').is_file():
        pytest.skip('made by the converter, without manifest.csv')
    with (ROOT / 'manifest.csv').open() as stream:
        rows = list(csv.DictReader(stream))
    listed = [
        {
            key: value
            for key, value in row.items()
            if not key.endswith(('tile_sha256', 'mask_sha256'))
        }
        for row in builtin_list()
    ]
    assert listed == rows


def test_real__validation_labels_by_the_two_percent_rule():
    pipeline = [
        {'type': 'arml.LoadTile'},
        {'type': 'arml.LoadTissueMask'},
        {'type': 'arml.ImageLabelFromMask'},
    ]
    dataset = EBHIDataset(str(ROOT), 'val', masks='dense', pipeline=pipeline)
    labels = {Path(sample['img_path']).name: sample['image_label'] for sample in dataset}
    rows = {Path(row['file']).name: row['label'] for row in builtin_list() if row['split'] == 'val'}
    assert {name: ''.join(map(str, label)) for name, label in labels.items()} == rows
