"""What trackers are told of a run: each curve whole, each stage once, an end in any case."""

import ast
import json

import pytest
from conftest import ROOT

from arml.tracking import Made, RunInfo, current, follow
from arml.tracking import session as module
from arml.tracking.tracker import Tracker

BACKENDS = [{'type': 'LocalVisBackend'}, {'type': 'memory', 'option': 3, 'save_dir': 'x'}]
HISTORY = [
    {'epoch': 1, 'iter': 3, 'kind': 'train', 'loss': 2.0},
    {'epoch': 1, 'iter': 3, 'kind': 'val', 'mIoU': 30.0},
    {'epoch': 2, 'iter': 6, 'kind': 'train', 'loss': 1.0},
]
MADE = Made('classifier', 'classifier-ab', 'checkpoint', (), {})


class Memory(Tracker):
    """Keeps what it is told; ``server`` is what outlives its processes."""

    name, advice = 'memory', 'Do this.'
    server: list
    resumes = False
    fails: str | None = None
    ends: dict | None = None

    def __init__(self, info, option=None):
        self._may_fail('begin')
        self.continues = self.resumes and bool(self.server)
        self.server.append(('begin', info.key, option))

    def _may_fail(self, what):
        if self.fails == what:
            raise OSError(f'no {what}')

    def log(self, point, stage):
        self._may_fail('log')
        self.server.append(('log', stage, point[f'{stage}/iter']))

    def image(self, name, image, iteration, stage):
        self.server.append(('image', name, iteration))

    def product(self, made, reused):
        self.server.append(('used' if reused else 'made', made.name))

    def result(self, result, folder):
        self._may_fail('result')
        self.server.append(('result', result['rows']))

    def last(self):
        return self.ends

    def close(self, status, patience=None):
        self._may_fail('close')
        self.server.append(('close', status))


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.setitem(module.TRACKERS, 'memory', Memory)
    for name, value in (('server', []), ('resumes', False), ('fails', None), ('ends', None)):
        monkeypatch.setattr(Memory, name, value, raising=False)
    return Memory


@pytest.fixture
def stage(tmp_path):
    """The folder of a stage that two epochs of an earlier process lie in."""
    folder = tmp_path / 'stage'
    folder.mkdir()
    (folder / 'history.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in HISTORY))
    return folder


def info(tmp_path, key='run1'):
    return RunInfo(tmp_path / 'work', key, f'name-{key}')


def point(iteration, stage='segmentor'):
    return {f'{stage}/iter': iteration, f'{stage}/train/loss': 0.5}


def logged(server):
    return [(stage, iteration) for what, stage, iteration in filter(is_log, server)]


def is_log(entry):
    return entry[0] == 'log'


def train(session, folder, *iterations, stage='segmentor'):
    session.begin_stage(stage, folder)
    for iteration in iterations:
        session.follower('memory').log(point(iteration, stage), session.stage, session.history)


def test_follow__options_of_the_config_and_an_end(memory, tmp_path):
    with follow(BACKENDS, info(tmp_path), print) as session:
        assert current() is session
        session.result({'rows': [1]}, tmp_path)
    assert current() is None
    assert memory.server == [('begin', 'run1', 3), ('result', [1]), ('close', 0)]


@pytest.mark.parametrize('backends', [None, [], BACKENDS[:1]])
def test_follow__nothing_is_tracked_unless_asked_for(memory, tmp_path, backends):
    with follow(backends, info(tmp_path), print) as session:
        session.begin_stage('segmentor', tmp_path)
        session.end_stage(MADE)
        assert session.follower('memory') is None
    assert memory.server == []
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize(
    ('error', 'status'),
    [(ValueError('x'), 1), (KeyboardInterrupt(), 130), (SystemExit(143), 143), (SystemExit('x'), 1)],
)  # fmt: skip
def test_follow__a_crash_is_a_failed_run(memory, tmp_path, error, status):
    with pytest.raises(type(error)), follow(BACKENDS, info(tmp_path), print):
        raise error
    assert memory.server[-1] == ('close', status)
    assert current() is None


def test_follow__a_stage_made_and_a_stage_found(memory, tmp_path, stage):
    with follow(BACKENDS, info(tmp_path), print) as session:
        session.reuse_stage('classifier', stage / 'history.jsonl', MADE)
        train(session, tmp_path / 'new', 1, 2)
        session.end_stage(None)
    assert logged(memory.server) == [('classifier', i) for i in (3, 3, 6)] + [
        ('segmentor', 1), ('segmentor', 2),
    ]  # fmt: skip
    assert ('used', 'classifier-ab') in memory.server


def test_follow__a_resumed_training_in_a_new_run_brings_the_epochs_before(memory, tmp_path, stage):
    for _ in range(2):
        with follow(BACKENDS, info(tmp_path), print) as session:
            train(session, stage, 5, 7)
    # Up to the first point, each time; what the history holds beyond it is trained again.
    assert logged(memory.server) == 2 * [('segmentor', i) for i in (3, 3, 5, 7)]


def test_follow__a_resumed_run_is_told_nothing_twice(memory, tmp_path, stage, monkeypatch):
    monkeypatch.setattr(memory, 'resumes', True)
    with follow(BACKENDS, info(tmp_path), print) as session:
        session.reuse_stage('classifier', stage / 'history.jsonl', None)
        train(session, stage, 5)
    memory.server[1:] = []
    with follow(BACKENDS, info(tmp_path), print) as session:
        session.reuse_stage('classifier', stage / 'history.jsonl', None)
        train(session, stage, 7)
        session.end_stage()
    assert logged(memory.server) == [('segmentor', 7)]
    with follow(BACKENDS, info(tmp_path), print) as session:
        session.reuse_stage('segmentor', stage / 'history.jsonl', None)
    assert logged(memory.server) == [('segmentor', 7)]


def test_follow__a_stage_that_another_run_finished_meanwhile_is_brought_whole(
    memory, tmp_path, stage, monkeypatch
):
    monkeypatch.setattr(memory, 'resumes', True)
    with follow(BACKENDS, info(tmp_path), print) as session:
        train(session, tmp_path / 'new', 1)
    memory.server[1:] = []
    with follow(BACKENDS, info(tmp_path), print) as session:
        session.reuse_stage('segmentor', stage / 'history.jsonl', None)
    assert logged(memory.server) == [('segmentor', i) for i in (3, 3, 6)]


@pytest.mark.parametrize(
    ('ends', 'missing'),
    [
        ({}, [3, 3]),  # begun, and nothing of it was sent
        ({'segmentor/iter': 3}, [3]),  # the validation was not
        ({'segmentor/iter': 3, 'segmentor/val/mIoU': 29.0}, [3]),
        ({'segmentor/iter': 3, 'segmentor/val/mIoU': 'NaN'}, [3]),
        ({'segmentor/iter': 3, 'segmentor/val/mIoU': 30.0}, []),
        ({'segmentor/iter': 5, 'segmentor/val/mIoU': 30.0}, []),
    ],
)
def test_follow__what_a_killed_process_had_not_sent_is_brought_once(
    memory, tmp_path, stage, monkeypatch, ends, missing
):
    with follow(BACKENDS, info(tmp_path), print) as session:
        train(session, tmp_path / 'new', 1)
    monkeypatch.setattr(memory, 'resumes', True)
    monkeypatch.setattr(memory, 'ends', ends)
    memory.server[1:] = []
    with follow(BACKENDS, info(tmp_path), print) as session:
        train(session, stage, 5)
    assert logged(memory.server) == [('segmentor', i) for i in [*missing, 5]]
    memory.server[1:] = []
    with follow(BACKENDS, info(tmp_path), print) as session:
        session.reuse_stage('segmentor', stage / 'history.jsonl', None)
    assert logged(memory.server) == [('segmentor', i) for i in [*missing, 6]]


def test_follow__another_run_in_the_work_dir_is_no_continuation(
    memory, tmp_path, stage, monkeypatch
):
    monkeypatch.setattr(memory, 'resumes', True)
    for key in ('run1', 'run2'):
        with follow(BACKENDS, info(tmp_path, key), print) as session:
            session.reuse_stage('classifier', stage / 'history.jsonl', None)
    assert len(logged(memory.server)) == 6


@pytest.mark.parametrize('moment', ['begin', 'log', 'result', 'close'])
def test_follow__a_failing_tracker_is_one_warning(memory, tmp_path, stage, monkeypatch, moment):
    monkeypatch.setattr(memory, 'fails', moment)
    said = []
    with follow(BACKENDS, info(tmp_path), said.append) as session:
        session.reuse_stage('classifier', stage / 'history.jsonl', MADE)
        train(session, tmp_path / 'new', 1, 2)
        session.follower('memory').image('x', None, 1, 'segmentor')
        session.end_stage(MADE)
        session.result({'rows': []}, tmp_path)
    (warning,) = said
    assert f'OSError: no {moment}. Do this.' in warning
    assert warning.startswith('warning: memory tracking is off from here, the training goes on.')


def test_follow__a_history_that_is_broken_ends_the_tracking_not_the_training(memory, tmp_path):
    said = []
    (tmp_path / 'history.jsonl').write_text('{\n')
    with follow(BACKENDS, info(tmp_path), said.append) as session:
        session.reuse_stage('classifier', tmp_path / 'history.jsonl', None)
    assert 'line 1 is not JSON' in said[0]


def test_tracking__wandb_is_imported_only_where_it_is_asked_for():
    """Nobody's start waits for a tracker that is not on: no module imports one at its top."""
    for file in (ROOT / 'arml').rglob('*.py'):
        for node in ast.parse(file.read_text(encoding='utf-8')).body:
            names = [alias.name for alias in getattr(node, 'names', ())]
            found = f'{getattr(node, "module", "")} {" ".join(names)}'
            assert not {'wandb', 'tensorboard'} & set(found.replace('.', ' ').split()), file
