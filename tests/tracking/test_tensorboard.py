"""TensorBoard: one folder a run, true steps, stages told apart."""

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tracked_run import ITERATIONS, Crash, at_iteration, crash, history_of, result_of, run, same


@pytest.fixture(scope='module')
def folder(tmp_path_factory, tiny_run) -> Path:
    """A run that crashed in the second epoch of its segmentor, and was resumed."""
    folder = tmp_path_factory.mktemp('tensorboard')
    with at_iteration(ITERATIONS + 1, crash), pytest.raises(Crash):
        run(tiny_run, folder, 'tensorboard', train_cfg__max_epochs=2)
    assert run(tiny_run, folder, 'tensorboard', resume=True, train_cfg__max_epochs=2) == 0
    return folder


@pytest.fixture(scope='module')
def events(folder) -> EventAccumulator:
    (place,) = {file.parent for file in folder.rglob('events.out.tfevents.*')}
    assert place == folder / 'work' / 'tensorboard'
    found = EventAccumulator(str(place), size_guidance={'images': 0, 'scalars': 0, 'tensors': 0})
    return found.Reload()


def curve(events, name):
    return [(event.step, event.value) for event in events.Scalars(name)]


@pytest.mark.parametrize('stage', ['classifier', 'segmentor'])
def test_tensorboard__each_point_once_at_its_iteration(events, folder, stage):
    rows = history_of(folder, stage)
    for kind, name in (('train', 'loss'), ('val', 'mIoU')):
        expected = [(row['iter'], row[name]) for row in rows if row['kind'] == kind]
        assert same(curve(events, f'{stage}/{kind}/{name}'), expected)


def test_tensorboard__scores_pictures_and_products_of_the_end(events, folder):
    result = result_of(folder)
    final = result['rows'][-1]['metrics']
    assert same(curve(events, 'test/mIoU'), [(0, final['mIoU'])])
    images = events.Tags()['images']
    assert {Path(name).stem for name in result['pictures']} <= set(images)
    texts = {
        name.removesuffix('/text_summary'): event.tensor_proto.string_val[0].decode()
        for name in events.Tags()['tensors']
        for event in events.Tensors(name)
    }
    assert 'ARML' in texts['table']
    assert '| train_cfg.max_epochs | `2` |' in texts['settings']
    assert texts['products/segmentor'] == f'made: segmentor-{result["stages"]["segmentor"]["key"]}'
    assert texts['failed'] == 'ended with status 1'


def test_tensorboard__missing_is_a_warning(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    assert run(tiny_run, tmp_path, 'tensorboard') == 0
    error = capsys.readouterr().err
    assert error.count('warning:') == 1
    assert 'TensorBoard tracking is off' in error
    assert "pip install 'arml[tensorboard]'" in error
