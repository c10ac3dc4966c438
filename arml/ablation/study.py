"""The shared memory of a sweep's workers: an Optuna study on SQLite or a server.

It hands out cells and feeds the dashboard. The truth about results is the ledger, from which a study that was
deleted is made again.
"""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from arml.errors import ArmlError, ConfigError

#: Seconds that a process waits for the lock of an SQLite file.
SQLITE_PATIENCE = 60
#: Trials of which something is still expected.
LIVE = (TrialState.WAITING, TrialState.RUNNING)
#: Attribute of a study: what its cells may be.
SPACE = 'space'


class StorageError(ArmlError):
    """The database of a study does not answer as it should."""


def default_url(folder: Path) -> str:
    """The SQLite file of a sweep's folder."""
    return f'sqlite:///{folder.absolute() / "optuna.db"}'


def quieten_optuna() -> None:
    """Leave its errors: what happens is said by the sweep, and what is experimental was chosen knowingly."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings('ignore', category=optuna.exceptions.ExperimentalWarning)


def open_storage(
    url: str,
    heartbeat: int,
    grace: int,
    on_stale: Callable[[optuna.Study, FrozenTrial], None] | None = None,
) -> RDBStorage:
    """A storage with heartbeats. Call it under a lock: making the tables of a new one is no atomic act.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql+psycopg://USER@HOST/DATABASE``.
        heartbeat: Seconds between two signs of life of a running trial, >= 1.
        grace: Seconds without one after which a trial is lost, >= ``heartbeat``.
        on_stale: Called with each trial that was lost so.

    Raises:
        ConfigError: If the URL is none, its driver is not installed, or the times do not fit.
        StorageError: If the server does not answer or refuses.
    """
    if heartbeat < 1 or grace < heartbeat:
        raise ConfigError(
            f'--heartbeat {heartbeat} --grace {grace}: expected seconds, at least 1, and a grace that is not '
            'shorter than a heartbeat'
        )
    options: dict[str, Any] = {'pool_pre_ping': True}
    if url.startswith('sqlite'):
        options = {'connect_args': {'timeout': SQLITE_PATIENCE}}
    try:
        with reaching(url):
            return RDBStorage(
                url, engine_kwargs=options, heartbeat_interval=heartbeat, grace_period=grace,
                heartbeat_stale_trial_callback=on_stale,
            )  # fmt: skip
    except ImportError as error:
        raise ConfigError(
            f'--storage {hidden(url)}: the driver of this database is not installed ({error}). For PostgreSQL: '
            "pip install 'psycopg[binary]', and a URL that begins with postgresql+psycopg://"
        ) from error


@contextlib.contextmanager
def reaching(url: str) -> Iterator[None]:
    """Explain what a database refuses.

    Raises:
        ConfigError: If the URL cannot be read.
        StorageError: If it cannot be reached.
    """
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        yield
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(
            f'--storage {hidden(url)}: is no URL of a database ({error}). Expected sqlite:///FILE or '
            'postgresql+psycopg://USER:PASSWORD@HOST/DATABASE'
        ) from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ or error
        reason = str(cause).strip().splitlines()[0]
        raise StorageError(
            f'--storage {hidden(url)}: the database does not answer as it should ({type(cause).__name__}: '
            f'{reason}). Finished cells are in the ledger; once it is reachable the same command goes on.'
        ) from error


def hidden(url: str) -> str:
    """The URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        return url.rpartition('@')[2]


def open_study(storage: RDBStorage, name: str, goal: str) -> optuna.Study:
    """The study of a sweep, made if there is none. Call it under the same lock as :func:`open_storage`.

    Args:
        storage: Where it is.
        name: Of the sweep.
        goal: ``maximize`` or ``minimize``.
    """
    return optuna.create_study(
        storage=storage, study_name=name, direction=goal, load_if_exists=True
    )


def same_study(study: optuna.Study, storage: RDBStorage) -> optuna.Study:
    """The same study as an object of its own, for another thread."""
    return optuna.load_study(
        study_name=study.study_name, storage=storage, sampler=study.sampler, pruner=study.pruner
    )


def fitting(study: optuna.Study, storage: RDBStorage, goal: str, space: Any) -> optuna.Study:
    """The study, if it was made for these values; else a new one in its place.

    The trials of an older sweep file cannot be compared with those of this one. What the ledger has of
    this one is added to the new study by whoever uses it.

    Args:
        study: Of :func:`open_study`, its dead trials buried.
        storage: Where it is.
        goal: ``maximize`` or ``minimize``.
        space: What the cells may be; plain values.

    Raises:
        ConfigError: If it was made for other values and is being worked on.
    """
    name = study.study_name
    text = json.dumps([goal, space], sort_keys=True, default=str)
    found = study.user_attrs.get(SPACE)
    if found is not None and found != text:
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if running:
            hosts = sorted({str(trial.user_attrs.get('host')) for trial in running})
            raise ConfigError(
                f'sweep {name}: the file has other values than the study, of which {len(running)} cells are '
                f'running (on {", ".join(hosts)}). Stop them (tools/sweep.py stop) or, if that machine is '
                'gone, wait until their heartbeat is missed; or give the sweep another name.'
            )
        optuna.delete_study(study_name=name, storage=storage)
        study = open_study(storage, name, goal)
    study.set_user_attr(SPACE, text)
    return study


def newest_by_cell(study: optuna.Study) -> dict[str, FrozenTrial]:
    """The newest trial of each cell that has one."""
    trials = study.get_trials(deepcopy=False)
    return {t.user_attrs['cell']: t for t in trials if 'cell' in t.user_attrs}
