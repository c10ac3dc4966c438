"""Searches: led by the validation, ended early, tried again with the same values, counted."""

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sweep_place import Place, wait_until
from tiny_run import CONFIG

from arml.ablation import Ledger, Sweep
from arml.ablation.cells import cell_of
from arml.ablation.search import Watch, pruner_of, sampler_of, validation_of
from arml.ablation.space import Distribution
from arml.ablation.study import default_url
from arml.errors import ConfigError

STUB = Path(__file__).with_name('stub_search.py')
SPACE = {
    'model.lambda_': Distribution('float', 0.1, 0.9),
    'model.srm.alpha': Distribution('int', 1, 50),
    'model.swv.omega': Distribution('categorical', choices=(1, 'drop')),
    'randomness.seed': Distribution('categorical', choices=(0,)),
}


@pytest.fixture
def place(tmp_path, fake_tissue):
    here = Place(tmp_path)
    here.sweep = Sweep(
        name='stub', path=Path('stub.yaml'), config=CONFIG, program=STUB, method='random', run_cap=4,
        metric='segmentor/val/mIoU', space=SPACE,
    )  # fmt: skip
    here.fixed = [f'data_root={fake_tissue}', f'store={tmp_path / "store"}']
    yield here
    here.end()


def search(place, **options):
    return place.run(fixed=place.fixed, **options)


def trials(place):
    study = optuna.load_study(study_name='stub', storage=default_url(place.folder))
    return study.get_trials()


def change(place, **values):
    place.sweep = Sweep(**{**vars(place.sweep), **values})


def test_search__runs_as_many_cells_as_it_may(place):
    change(place, method='bayes')
    assert search(place, workers=2) == []
    rows = place.ledger.rows()
    assert [row['status'] for row in rows] == ['finished'] * 4
    assert len({row['run'] for row in rows}) == 4
    for row in rows:
        values = row['parameters']
        assert 0.1 <= values['model.lambda_'] <= 0.9
        assert values['model.srm.alpha'] in range(1, 51)
        assert values['model.swv.omega'] in (1, 'drop')
        assert values['randomness.seed'] == 0
        assert row['run'] == cell_of(place.sweep, values, place.fixed).run
    found = {trial.user_attrs['cell']: trial for trial in trials(place)}
    for row in rows:  # the validation's best, not the test's, which is the other way round
        trial = found[row['run']]
        assert trial.value == pytest.approx(40 * row['parameters']['model.lambda_'] + 4)
        assert len(trial.intermediate_values) == 4
    assert place.said[0] == 'stub: 4 cells, 0 finished, 4 to run'

    assert search(place) == []
    assert len(place.ledger.rows()) == 4
    change(place, run_cap=5)
    assert search(place) == []
    assert len(place.ledger.rows()) == 5


def test_search__goes_on_from_a_ledger_that_was_kept(place, tmp_path):
    """Its work dirs are gone, and with them the histories."""
    assert search(place) == []
    values = sorted(trial.value for trial in trials(place))
    kept = place.ledger.path.read_text()
    shutil.rmtree(place.folder)
    place.folder.mkdir()
    place.ledger = Ledger(tmp_path / 'kept.jsonl')
    place.ledger.path.write_text(kept)
    assert search(place) == []
    assert sorted(trial.value for trial in trials(place)) == pytest.approx(values)
    assert place.ledger.path.read_text() == kept
    change(place, run_cap=5)
    assert search(place) == []
    assert len(place.ledger.rows()) == 5


def test_search__one_worker_repeats_itself_and_other_seeds_do_not(place, tmp_path):
    found = {}
    for name, seed in (('one', 0), ('two', 0), ('three', 1)):
        place.folder = tmp_path / name
        place.ledger.path = place.folder / 'ledger.jsonl'
        change(place, run_cap=2, name=name)
        search(place, seed=seed)
        found[name] = [row['parameters'] for row in place.ledger.rows()]
        assert found[name][0] != found[name][1]
    # Cells of another sweep's ledger are not run again: the lines are copies, with the same values.
    assert found['one'] == found['two']
    assert found['one'] != found['three']


def test_search__ends_cells_early_and_does_not_run_them_again(place, monkeypatch):
    monkeypatch.setenv('STUB_EPOCH', '0.4')
    monkeypatch.setattr(
        'arml.ablation.run.pruner_of', lambda early: optuna.pruners.ThresholdPruner(lower=24)
    )
    assert search(place, workers=2) == []
    rows = place.ledger.rows()
    assert len(rows) == 4
    for row in rows:
        bad = 40 * row['parameters']['model.lambda_'] + 1 < 24
        assert row['status'] == ('pruned' if bad else 'finished')
        if bad:
            assert row['value'] == pytest.approx(
                40 * row['parameters']['model.lambda_'] + row['step']
            )
    assert {row['status'] for row in rows} == {'pruned', 'finished'}
    for trial in trials(place):
        state = next(row['status'] for row in rows if row['run'] == trial.user_attrs['cell'])
        assert trial.state is {'pruned': TrialState.PRUNED, 'finished': TrialState.COMPLETE}[state]
    assert search(place) == []
    assert len(place.ledger.rows()) == 4


def test_search__a_lost_cell_is_tried_again_with_its_values(place, monkeypatch):
    monkeypatch.setenv('STUB_EPOCH', '0.5')
    change(place, run_cap=1)
    process = place.start(fixed=place.fixed)
    wait_until(lambda: list(place.folder.glob('*/segmentor/history.jsonl')))
    process.kill()
    process.join(60)
    assert search(place) == []
    lost, finished = place.ledger.rows()
    assert (lost['status'], finished['status']) == ('failed', 'finished')
    assert lost['parameters'] == finished['parameters']
    assert lost['run'] == finished['run']


def test_search__a_failed_cell_is_tried_again_with_its_values(place, monkeypatch):
    monkeypatch.setenv('STUB_FAILS', 'first')
    change(place, run_cap=2)
    assert search(place) == []
    rows = place.ledger.rows()
    assert sorted(row['status'] for row in rows) == ['failed', 'failed', 'finished', 'finished']
    assert len({row['run'] for row in rows}) == 2


def test_search__cells_that_fail_for_good_count(place, monkeypatch):
    monkeypatch.setenv('STUB_FAILS', 'always')
    change(place, run_cap=2)
    assert len(search(place)) == 2
    assert place.ledger.failures().most_common() == [(run, 2) for run in place.ledger.failures()]
    monkeypatch.delenv('STUB_FAILS')
    assert search(place, retry=True) == []
    assert len(place.ledger.finished()) == 2


def test_search__study_is_made_again_from_the_ledger(place):
    change(place, run_cap=3)
    assert search(place) == []
    before = {trial.user_attrs['cell']: (trial.params, trial.value) for trial in trials(place)}
    (place.folder / 'optuna.db').unlink()
    place.ledger.add({**place.ledger.rows()[0], 'run': 'stranger'})
    assert search(place) == []
    assert {t.user_attrs['cell']: (t.params, t.value) for t in trials(place)} == before
    assert len(place.ledger.rows()) == 4


def test_search__a_cell_that_was_taken_for_dead_counts_once_it_has_ended(place):
    change(place, run_cap=1)
    assert search(place) == []
    (trial,) = trials(place)
    storage = optuna.storages.RDBStorage(default_url(place.folder))
    with storage.engine.begin() as connection:  # as if it had been written off before its end
        connection.exec_driver_sql('UPDATE trials SET state = "FAIL"')
    assert search(place) == []
    assert [each.state for each in trials(place)] == [TrialState.FAIL, TrialState.COMPLETE]
    assert trials(place)[1].value == trial.value
    assert len(place.ledger.rows()) == 1


def test_watch__a_trial_that_was_taken_for_dead_goes_on(tmp_path):
    trial = optuna.create_study().ask()
    history = tmp_path / 'history.jsonl'
    watch = Watch(trial, history, 'mIoU')
    assert not watch.look()
    history.write_text('{"kind": "val", "mIoU": 3.0}\n')
    assert not watch.look()
    assert watch.last == (3, 1)
    trial.study.tell(trial, state=TrialState.FAIL)
    history.write_text('{"kind": "val", "mIoU": 3.0}\n{"kind": "val", "mIoU": 1.0}\n')
    assert not watch.look()


def test_search__with_a_named_sampler(place):
    change(place, run_cap=2)
    assert search(place, sampler='QMCSampler') == []
    for name in ('Sampler', 'GridSampler', 'optuna'):
        with pytest.raises(
            ConfigError, match=f"--sampler: found '{name}', expected one of .*TPESa"
        ):
            search(place, sampler=name)
    assert type(sampler_of(None, 'bayes', 0)) is optuna.samplers.TPESampler
    assert type(sampler_of(None, 'random', 0)) is optuna.samplers.RandomSampler


@pytest.mark.parametrize('metric', ['test/mIoU', 'segmentor/train/loss', 'mIoU', 'segmentor/val'])
def test_validation_of__refuses_what_is_no_validation(place, metric):
    change(place, metric=metric)
    with pytest.raises(ConfigError, match=rf'metric: found .{metric}., expected a validation'):
        validation_of(place.sweep)


@pytest.mark.parametrize(
    ('early', 'first'),
    [
        ({'type': 'hyperband', 'min_iter': 2, 'eta': 2}, 2),
        ({'type': 'hyperband', 'max_iter': 8, 's': 2, 'eta': 2}, 2),
        ({'type': 'hyperband', 'max_iter': 9, 's': 1}, 3),
        ({'type': 'hyperband', 'min_iter': 3}, 3),
    ],
)
def test_pruner_of__hyperband_ends_no_cell_before_its_first_step(early, first):
    # Hyperband deals the trials out to its brackets by the name of the study.
    study = optuna.create_study(study_name='sweep', direction='maximize', pruner=pruner_of(early))
    pruned = []
    for value in range(20, 0, -1):
        trial = study.ask()
        for step in range(1, 9):
            trial.report(value, step)
            if trial.should_prune():
                pruned.append(step)
        study.tell(trial, value)
    assert pruned
    assert all(step >= first for step in pruned)


def test_pruner_of__median_without_settings():
    study = optuna.create_study(direction='maximize', pruner=pruner_of(None))
    for value in (9, 8, 7, 6, 5):
        trial = study.ask()
        trial.report(value, 1)
        assert not trial.should_prune()
        study.tell(trial, value)
    trial = study.ask()
    trial.report(6.5, 1)
    assert trial.should_prune()
