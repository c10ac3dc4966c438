"""What curves, scores and tables are called."""

import numpy as np
import pytest
import torch

from arml.tracking import names

ROWS = [
    {'name': 'floor', 'split': 'test', 'metrics': {'mIoU': 7.0, 'IoU.TUM': 7.0}},
    {'name': 'pseudo masks', 'split': 'train', 'metrics': {'mIoU': 50.0}},
    {'name': 'ARML', 'split': 'test', 'metrics': {'mIoU': 52.5, 'Dice.TUM': 61.0, 'B.IoU.STR': 9.0}},
]  # fmt: skip


def test_curve__stage_kind_score_against_the_iterations_of_the_stage():
    scalars = {'loss': torch.tensor(0.5), 'lr': 1e-3, 'iter': 9, 'epoch': 2, 'text': 'x'}
    assert names.curve('segmentor', 'train', 12, 3, scalars) == {
        'segmentor/iter': 12, 'segmentor/epoch': 3, 'segmentor/train/loss': 0.5, 'segmentor/train/lr': 1e-3,
    }  # fmt: skip


def test_curve__outside_a_pipeline_and_with_mmengines_own_prefix():
    assert names.curve('', 'val', 4, None, {'val/mIoU': 3.0}) == {'iter': 4, 'val/mIoU': 3.0}


@pytest.mark.parametrize(
    'value', [2, 2.0, np.float32(2), np.array([2.0]), torch.tensor([[2.0]]), np.array(2)]
)
def test_curve__one_number_of_any_type_is_a_builtin_one(value):
    point = names.curve('s', 'train', 1, None, {'x': value})
    assert point['s/train/x'] == 2
    assert type(point['s/train/x']) in (int, float)


@pytest.mark.parametrize('value', ['2', True, None, [2], np.ones(2), torch.ones(2)])
def test_curve__what_is_no_number_is_left_out(value):
    assert names.curve('s', 'train', 1, None, {'x': value}) == {'s/iter': 1}


def test_points_of_history__are_curves_at_their_iterations():
    rows = [
        {'epoch': 1, 'iter': 6, 'kind': 'train', 'lr': 0.1, 'loss': 2.0},
        {'epoch': 1, 'iter': 6, 'kind': 'val', 'mIoU': 30.0},
    ]
    assert names.points_of_history('classifier', rows) == [
        {'classifier/iter': 6, 'classifier/epoch': 1, 'classifier/train/lr': 0.1, 'classifier/train/loss': 2.0},
        {'classifier/iter': 6, 'classifier/epoch': 1, 'classifier/val/mIoU': 30.0},
    ]  # fmt: skip


def test_final_scores__of_the_last_test_row_and_the_kept_epochs():
    validation = {'segmentor': {'metric': 'mIoU', 'value': 40.0, 'epoch': 2}, 'classifier': None}
    assert names.final_scores({'rows': ROWS, 'validation': validation}) == {
        'segmentor/val/mIoU': 40.0, 'test/mIoU': 52.5, 'test/Dice.TUM': 61.0, 'test/B.IoU.STR': 9.0,
    }  # fmt: skip
    assert names.final_scores({'rows': ROWS[1:2]}) == {}


def test_score_table__has_none_where_a_row_lacks_a_score():
    columns, lines = names.score_table(ROWS)
    assert columns == ['row', 'split', 'mIoU', 'IoU.TUM', 'Dice.TUM', 'B.IoU.STR']
    assert lines[1] == ['pseudo masks', 'train', 50.0, None, None, None]


def test_class_table__one_line_a_class_and_protocol():
    columns, lines = names.class_table(ROWS, ['TUM', 'STR'])
    assert columns == ['row', 'split', 'protocol', 'class', 'IoU', 'Dice']
    assert lines == [
        ['floor', 'test', 'A', 'TUM', 7.0, None],
        ['ARML', 'test', 'A', 'TUM', None, 61.0],
        ['ARML', 'test', 'B', 'STR', 9.0, None],
    ]


def test_class_labels__background_and_what_counts_nowhere():
    assert names.class_labels(['TUM', 'STR']) == {
        0: 'TUM',
        1: 'STR',
        2: 'background',
        255: 'not counted',
    }


def test_artifact_name__only_what_wandb_allows():
    assert names.artifact_name('my stage/2', 'ab12') == 'my_stage_2-ab12'


def test_title_and_listed():
    assert names.title({'a.b': 1, 'seed': 0}) == 'a.b=1, seed=0'
    assert names.listed('table3, mine,,') == ['table3', 'mine']
    assert names.listed(None) == []
