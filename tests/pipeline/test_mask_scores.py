"""Scores of the pseudo masks: a product of its own, which no training depends on."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from tiny_run import load

from arml.engine import StageRunner
from arml.errors import ConfigError
from arml.pipeline import run_pipeline
from arml.pipeline.stages import MaskScoreStage
from arml.pseudo.io import read_mask


@pytest.fixture
def again(tiny_run, tmp_path, monkeypatch):
    """The run over changed data, in which nothing may be trained, made or tested again."""

    def refuse(*_, **__):
        raise AssertionError('a finished stage was run again')

    def run(change):
        data = shutil.copytree(tiny_run.data, tmp_path / 'data')
        change(data)
        store = shutil.copytree(tiny_run.store, tmp_path / 'store')
        for name in ('train', 'test'):
            monkeypatch.setattr(StageRunner, name, refuse)
        monkeypatch.setattr('arml.pipeline.stages.masks.generate', refuse)
        return run_pipeline(load(data, store), tmp_path / 'work')

    return run


def row(result):
    return [row for row in result['rows'] if row['name'] == 'pseudo masks']


def truths(work, stage):
    return sorted((work / stage / 'examples').glob('*.truth.png'))


def test_mask_scores__row_truths_and_picture(tiny_run):
    (found,) = row(tiny_run.result)
    assert found['split'] == 'train'
    scores = json.loads((tiny_run.work / 'mask_scores' / 'scores.json').read_text())
    assert scores == {'final': found['metrics']}
    masks, dense = tiny_run.work / 'pseudo_masks' / 'final', tiny_run.data / 'train_mask'
    right = counted = 0
    for file in dense.glob('*.png'):
        truth = read_mask(file)
        right += ((read_mask(masks / file.name) == truth) & (truth < 4)).sum()
        counted += (truth < 4).sum()
    assert found['metrics']['ACC'] == pytest.approx(100 * right / counted)
    assert len(truths(tiny_run.work, 'mask_scores')) == 6
    assert not truths(tiny_run.work, 'pseudo_masks')  # they are no part of that product
    with Image.open(tiny_run.work / 'pseudo_masks.png') as image:
        assert np.ptp(np.asarray(image)) > 0


def test_mask_scores__picture_shows_the_truth(tiny_run, tmp_path, monkeypatch, again):
    from arml.pipeline import finish

    seen, real = {}, finish.tile_sheet
    monkeypatch.setattr(
        finish, 'tile_sheet', lambda rows, *a, **k: (seen.update({k['path'].name: rows}), real(rows, *a, **k))
    )  # fmt: skip
    again(lambda data: None)
    assert list(seen['pseudo_masks.png'][0].masks)[:2] == ['truth', 'pseudo mask (final)']


def test_mask_scores__without_dense_masks_nothing_is_trained_again_and_there_is_no_row(
    again, tiny_run, tmp_path
):
    result = again(lambda data: shutil.rmtree(data / 'train_mask'))
    assert row(result) == []
    assert len(result['rows']) == len(tiny_run.result['rows']) - 1
    assert (tmp_path / 'work' / 'pseudo_masks.png').is_file()
    assert not (tmp_path / 'work' / 'mask_scores' / 'examples').exists()
    stages = {name: stage['reused'] for name, stage in result['stages'].items()}
    assert [name for name, reused in stages.items() if not reused] == ['mask_scores']


def test_mask_scores__a_missing_dense_mask_is_a_warning(again, capsys):
    def change(data):
        sorted((data / 'train_mask').glob('*.png'))[3].unlink()

    result = again(change)
    said = capsys.readouterr().err
    assert 'no scores of the pseudo masks' in said
    assert '0 error(s), 1 warning(s)' in said
    assert 'FAKE-train003' in result['stages']['mask_scores']['not_scored']
    assert row(result) == []


def test_mask_scores__a_broken_dense_mask_costs_its_row_alone(again):
    def change(data):
        sorted((data / 'train_mask').glob('*.png'))[3].write_bytes(b'x')

    assert row(again(change)) == []


def test_mask_scores__several_masks_have_a_name_each(tiny_run, tmp_path):
    from arml.pipeline.stage import Context
    from arml.pipeline.store import Store

    inputs = {'final': 'pseudo_masks/final', 'again': 'pseudo_masks/final'}
    stage = MaskScoreStage(name='s', config=tiny_run.load(), inputs=inputs, row='pseudo masks')
    key = tiny_run.result['stages']['pseudo_masks']['key']
    product = Store(tiny_run.store).find('pseudo_masks', key)
    made = stage.run(Context(tmp_path, {'pseudo_masks': product}))
    assert [line['name'] for line in made.rows] == ['{row} (final)', '{row} (again)']


def test_mask_scores__takes_masks(tiny_run):
    with pytest.raises(ConfigError, match='stage s: inputs names no masks'):
        MaskScoreStage(name='s', config=tiny_run.load())
