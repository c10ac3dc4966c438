"""The study of a sweep: made again from the ledger, of this sweep file only, and what a database refuses."""

import json
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.trial import TrialState
from sweep_place import Place, cell

from arml.ablation import study as module
from arml.ablation.queue import HOST, GridQueue, Work
from arml.ablation.study import StorageError, default_url, hidden, open_storage, quieten_optuna
from arml.errors import ConfigError


@pytest.fixture
def place(tmp_path):
    here = Place(tmp_path)
    yield here
    here.end()


def trials(place):
    study = optuna.load_study(study_name='stub', storage=default_url(place.folder))
    return {
        trial.user_attrs['cell']: trial
        for trial in study.get_trials()
        if trial.state is not TrialState.FAIL
    }


def test_study__has_values_and_parameters_for_the_dashboard(place):
    cells = [
        cell(name, **{'model.lambda_': value})
        for name, value in zip('abc', (1, 2, 0.5), strict=True)
    ]
    assert place.run(*cells, workers=2) == []
    found = trials(place)
    assert {run: (trial.state, trial.value) for run, trial in found.items()} == {
        'a': (TrialState.COMPLETE, 41), 'b': (TrialState.COMPLETE, 42), 'c': (TrialState.COMPLETE, 40.5),
    }  # fmt: skip
    assert found['c'].params == {'do': 'finish', 'model.lambda_': 0.5}
    study = optuna.load_study(study_name='stub', storage=default_url(place.folder))
    assert (study.direction.name, study.best_trial.user_attrs['cell']) == ('MAXIMIZE', 'b')


def test_study__opens_in_optuna_dashboard(place):
    dashboard = pytest.importorskip('optuna_dashboard')
    assert place.run(cell('a', **{'model.lambda_': 2}), cell('b', 'fail'), attempts=1) == [
        cell('b', 'fail')
    ]
    app = dashboard.wsgi(default_url(place.folder))

    def get(path):
        asked = {'REQUEST_METHOD': 'GET', 'PATH_INFO': path, 'QUERY_STRING': ''}
        setup_testing_defaults(asked)
        return json.loads(b''.join(app(asked, lambda status, headers, error=None: None)))

    (study,) = get('/api/studies')['study_summaries']
    assert study['study_name'] == 'stub'
    trials = {trial['state']: trial for trial in get(f'/api/studies/{study["study_id"]}')['trials']}
    assert trials['Complete']['values'] == [42]
    assert {'key': 'cell', 'value': 'a'} in trials['Complete']['user_attrs']
    assert any('as it was asked for' in each['value'] for each in trials['Fail']['user_attrs'])


def test_study__values_that_a_database_would_mix_up_are_text(place):
    cells = [cell('a', x=1), cell('b', x=True), cell('c', x=[1, 2])]
    assert place.run(*cells) == []
    assert [trials(place)[run].params['x'] for run in 'abc'] == ['1', 'True', '[1, 2]']


def test_study__is_made_again_from_the_ledger(place):
    cells = [cell('a'), cell('b', 'fail'), cell('c')]
    assert place.run(*cells[:2]) == cells[1:2]
    (place.folder / 'optuna.db').unlink()
    assert place.run(*cells) == cells[1:2]
    assert place.calls(*cells) == [1, 2, 1]
    assert {run: trial.state for run, trial in trials(place).items()} == dict.fromkeys(
        'ac', TrialState.COMPLETE
    )


def test_study__of_an_older_sweep_file_is_replaced(place):
    assert place.run(cell('a'), cell('b')) == []
    assert place.run(cell('a'), cell('d', y=1)) == []
    assert trials(place).keys() == {'a', 'd'}
    assert place.calls(cell('a'), cell('d')) == [1, 1]


def test_study__of_an_older_sweep_file_is_left_to_its_workers(place):
    process = place.start(cell('a', 'sleep'))
    place.wait_for(cell('a', 'sleep'))
    with pytest.raises(
        ConfigError, match=r'sweep stub: the file has other values .* 1 cells are running'
    ):
        place.run(cell('b'))
    process.kill()
    process.join(60)
    place.gone(cell('a'))
    assert place.run(cell('b')) == []


def test_study__no_value_where_the_metric_is_missing_said_once(place):
    place.sweep = type(place.sweep)(**{**vars(place.sweep), 'metric': 'test/mDice'})
    assert place.run(cell('a'), cell('b', x=1)) == []
    said = [text for text in place.said if 'no value for the dashboard' in text]
    assert len(said) == 1
    assert 'metric test/mDice: found None, expected a number. The run has test/mIoU' in said[0]
    assert len(place.ledger.finished()) == 2


def test_bury__a_worker_that_ends_meanwhile_is_not_taken_for_dead(place, monkeypatch):
    """Between the look at the study and the look at its lock."""
    quieten_optuna()
    place.folder.mkdir()
    queue = GridQueue(Work(place.sweep, place.ledger, place.folder), [cell('a')], place.said.append)
    study = optuna.create_study()
    queue.refill(study)
    trial = study.ask()
    trial.set_user_attr('host', HOST)

    def ends(work):
        study.tell(trial, state=TrialState.FAIL)
        return False

    monkeypatch.setattr('arml.ablation.queue.is_running', ends)
    queue.bury(study)
    assert place.ledger.rows() == []


@pytest.mark.parametrize(
    ('url', 'error', 'match'),
    [
        ('nonsense', ConfigError, r'--storage nonsense: is no URL of a database'),
        ('oracle9://x', ConfigError, r'--storage oracle9://x: is no URL of a database'),
        ('mysql+pymysql://me:secret@h/d', ConfigError, r'me:\*\*\*@h/d: the driver of this database'),
        ('postgresql+psycopg://me:secret@127.0.0.1:1/d', StorageError, r'me:\*\*\*@127\.0\.0\.1:1/d: the dat'),
        ('sqlite:////proc/none/x.db', StorageError, r'does not answer as it should .* ledger'),
    ],
)  # fmt: skip
def test_open_storage__raises(url, error, match):
    quieten_optuna()
    with pytest.raises(error, match=match) as raised:
        open_storage(url, 60, 120)
    assert 'secret' not in str(raised.value)


@pytest.mark.parametrize(('heartbeat', 'grace'), [(0, 10), (10, 9), (1.5, 3), ('1', 3)])
def test_open_storage__refuses_times_that_do_not_fit(heartbeat, grace):
    said = f'heartbeat {heartbeat!r}, grace {grace!r} .*sweep.grace of the config.: expected whole'
    with pytest.raises(ConfigError, match=said):
        open_storage('sqlite://', heartbeat, grace)


def test_hidden__no_password_whatever_the_url():
    assert hidden('postgresql+psycopg://me:secret@host/x') == 'postgresql+psycopg://me:***@host/x'
    assert 'secret' not in hidden('postgresql://me:secret@host:port/x')
    assert module.hidden('sqlite:///a.db') == 'sqlite:///a.db'
