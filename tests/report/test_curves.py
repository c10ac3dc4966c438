"""Curves: what is drawn, and that a picture appears whole."""

import json
import os

import pytest
from PIL import Image

from arml.errors import ArmlError, DataError
from arml.report.curves import curves_of, draw_curves, mean_over_networks

ROWS = [
    {'epoch': 1, 'kind': 'train', 'loss': 2.0, 'loss_swv_a': 1.0, 'loss_swv_b': 3.0, 'lr': 0.1},
    {'epoch': 1, 'kind': 'val', 'mIoU': 20.0, 'B.mIoU': 10.0, 'IoU.x': 5.0},
    {'epoch': 2, 'kind': 'train', 'loss': 1.0, 'loss_swv_a': 0.5, 'loss_swv_b': 0.7, 'lr': 0.1},
    {'epoch': 2, 'kind': 'val', 'mIoU': float('nan'), 'B.mIoU': 12.0},
]


def test_curves_of__picks_by_kind_and_whole_name():
    assert curves_of(ROWS, 'train', r'loss(_.+)?') == {
        'loss': ([1, 2], [2.0, 1.0]),
        'loss_swv_a': ([1, 2], [1.0, 0.5]),
        'loss_swv_b': ([1, 2], [3.0, 0.7]),
    }
    assert curves_of(ROWS, 'val', 'mIoU') == {'mIoU': ([1], [20.0])}


def test_mean_over_networks__joins_peers_and_nothing_else():
    curves = {
        'loss': ([1, 2], [2.0, 1.0]),
        'loss_swv_a': ([1, 2], [1.0, 0.5]),
        'loss_swv_b': ([1, 2], [3.0, 1.5]),
        'loss_cls': ([1, 2], [4.0, 4.0]),
        'loss_a': ([1, 2], [7.0, 7.0]),
    }
    joined = mean_over_networks(curves)
    assert list(joined) == ['loss', 'loss_swv', 'loss_cls', 'loss_a']
    assert joined['loss_swv'] == ([1, 2], [2.0, 1.0])


@pytest.fixture
def histories(tmp_path):
    for name, rows in (('classifier', ROWS[:1]), ('segmentor', ROWS)):
        text = ''.join(json.dumps(row) + '\n' for row in rows)
        (tmp_path / f'{name}.jsonl').write_text(text)
    return {name: f'{name}.jsonl' for name in ('classifier', 'segmentor')}


def test_draw_curves__leaves_one_whole_picture(tmp_path, histories):
    path = draw_curves(histories, tmp_path / 'out' / 'curves.png', root=tmp_path)
    with Image.open(path) as picture:
        picture.load()
        assert picture.width > 800
        assert len(picture.convert('RGB').getcolors(2**24)) > 20
    assert os.listdir(path.parent) == ['curves.png']


def test_draw_curves__raises(tmp_path, histories):
    with pytest.raises(DataError, match='no history to draw'):
        draw_curves({}, tmp_path / 'curves.png')
    with pytest.raises(DataError, match='no such history'):
        draw_curves({'classifier': 'none.jsonl'}, tmp_path / 'curves.png', root=tmp_path)
    (tmp_path / 'file').touch()
    with pytest.raises(ArmlError, match=r'cannot write .*curves\.png'):
        draw_curves(histories, tmp_path / 'file' / 'curves.png', root=tmp_path)
