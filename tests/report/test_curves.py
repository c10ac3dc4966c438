"""Curves: what is drawn, and that a picture appears whole."""

import json
import os

import pytest
from PIL import Image

from arml.errors import ArmlError, DataError
from arml.report import curves as curves_module
from arml.report.curves import curves_of, draw_curves, kept_epoch, mean_over_networks

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


VALIDATED = [
    {'epoch': 1, 'kind': 'val', 'mIoU': 30.0, 'loss_val': 3.0},
    {'epoch': 2, 'kind': 'val', 'mIoU': 40.0, 'loss_val': 1.0},
    {'epoch': 3, 'kind': 'val', 'mIoU': 40.0, 'loss_val': 1.0},
    {'epoch': 4, 'kind': 'val', 'mIoU': float('nan'), 'loss_val': 2.0},
]


@pytest.mark.parametrize(
    ('metric', 'rule', 'epoch'),
    [('mIoU', 'greater', 2), ('loss_val', 'less', 2), ('mIoU', 'less', 1), ('loss_val', 'greater', 1),
     (None, 'greater', 4), ('unknown', 'greater', 4)],
)  # fmt: skip
def test_kept_epoch__as_the_training_chooses(metric, rule, epoch):
    assert kept_epoch(VALIDATED, metric, rule) == epoch


def test_kept_epoch__empty_history():
    assert kept_epoch([], None) is None


@pytest.mark.parametrize(
    ('choice', 'epoch', 'words'),
    [((None, 'greater'), 4, 'kept: epoch 4, the last'),
     (('mIoU', 'greater'), 2, 'kept: epoch 2, highest mIoU'),
     (('loss_val', 'less'), 2, 'kept: epoch 2, lowest loss_val')],
)  # fmt: skip
def test_draw_curves__marks_the_epoch_that_was_kept(tmp_path, monkeypatch, choice, epoch, words):
    figures = []

    class Noted(curves_module.Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            figures.append(self)

    monkeypatch.setattr(curves_module, 'Figure', Noted)
    (tmp_path / 'h.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in VALIDATED))
    histories = {'segmentor': 'h.jsonl'}
    draw_curves(histories, tmp_path / 'c.png', root=tmp_path, choices={'segmentor': choice})
    right = figures[0].axes[1]
    assert words in [text.get_text() for text in right.get_legend().get_texts()]
    line = next(line for line in right.lines if line.get_label() == words)
    assert list(line.get_xdata()) == [epoch, epoch]
    marks = [line for line in right.lines if line.get_fillstyle() == 'none']
    assert [list(mark.get_xdata()) for mark in marks] == ([[epoch]] if epoch < 4 else [])
    assert not any(mark.get_clip_on() for mark in marks)
    assert right.get_ylim()[1] > 40
    assert not right.texts  # nothing that the legend could cover
    draw_curves(histories, tmp_path / 'c.png', root=tmp_path)
    assert not [line for line in figures[1].axes[1].lines if line.get_fillstyle() == 'none']


def test_draw_curves__raises(tmp_path, histories):
    with pytest.raises(DataError, match='no history to draw'):
        draw_curves({}, tmp_path / 'curves.png')
    with pytest.raises(DataError, match='no such history'):
        draw_curves({'classifier': 'none.jsonl'}, tmp_path / 'curves.png', root=tmp_path)
    (tmp_path / 'file').touch()
    with pytest.raises(ArmlError, match=r'cannot write .*curves\.png'):
        draw_curves(histories, tmp_path / 'file' / 'curves.png', root=tmp_path)
