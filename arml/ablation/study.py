"""The shared memory of a sweep's workers: an Optuna study on SQLite or a server.

It hands out cells and feeds the dashboard. The truth about results is the ledger, from which a study that was
deleted is made again.
"""

import contextlib
import json
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from arml.atomic import write_text
from arml.errors import ArmlError, ConfigError

#: Seconds that a process waits for the lock of an SQLite file.
SQLITE_PATIENCE = 60
#: Trials of which something is still expected.
LIVE = (TrialState.WAITING, TrialState.RUNNING)
#: Attributes of a study: what its cells may be, and the sweep folder that it is of.
SPACE, FOLDER = 'space', 'folder'
#: In a sweep's folder: tells it from all others, on whatever machine.
MARK = 'folder.id'
#: Seconds that a sign of life may take to arrive, beyond its interval.
SLACK = 1.0
#: Seconds that the end of a trial waits for a sign of life that is on its way.
FAREWELL = 1.0


class StorageError(ArmlError):
    """The database of a study does not answer as it should."""


class Storage(RDBStorage):
    """A database that forgives its own absence: silence counts only while it could have been broken.

    After an outage, or a night's sleep of this machine, the last signs of life of all trials are old. So a
    silent trial is lost only if it is still silent one heartbeat after this process first saw it so.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._silent: dict[int, float] = {}

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        now = time.monotonic()
        stale = super()._get_stale_trial_ids(study_id)
        self._silent = {trial: self._silent.get(trial, now) for trial in stale}
        patience = self.get_heartbeat_interval() + SLACK
        return [trial for trial, since in self._silent.items() if now - since > patience]

    @contextlib.contextmanager
    def beating(self, trial: Trial) -> Iterator[None]:
        """Give signs of life of a running trial, also after an outage, with which Optuna's own would end.

        Raises:
            optuna.exceptions.StorageInternalError: If the first one, before anything has begun, does not arrive.
        """
        over = threading.Event()
        self.record_heartbeat(trial._trial_id)

        def beat() -> None:
            while not over.wait(self.get_heartbeat_interval()):
                with contextlib.suppress(Exception):  # whatever it is, the next one may arrive
                    self.record_heartbeat(trial._trial_id)
            self.remove_session()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(FAREWELL)  # no longer: a server out of reach may keep it for minutes


def default_url(folder: Path) -> str:
    """The SQLite file of a sweep's folder."""
    return f'sqlite:///{folder.absolute() / "optuna.db"}'


def quieten_optuna() -> None:
    """Leave its errors: what happens is said by the sweep, and what is experimental was chosen knowingly."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings('ignore', category=optuna.exceptions.ExperimentalWarning)
    # It looks for Study.optimize, whose signs of life end with the first one that does not arrive.
    warnings.filterwarnings('ignore', message='Heartbeat of storage is supposed to be used with')


def open_storage(
    url: str,
    heartbeat: int,
    grace: int,
    on_stale: Callable[[optuna.Study, FrozenTrial], None] | None = None,
) -> Storage:
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
    whole = all(type(seconds) is int for seconds in (heartbeat, grace))
    if not whole or heartbeat < 1 or grace < heartbeat:
        raise ConfigError(
            f'heartbeat {heartbeat!r}, grace {grace!r} (--heartbeat and --grace, or sweep.heartbeat and '
            'sweep.grace of the config): expected whole seconds, at least 1, and a grace that is not shorter '
            'than a heartbeat'
        )
    options: dict[str, Any] = {'pool_pre_ping': True}
    if url.startswith('sqlite'):
        options = {'connect_args': {'timeout': SQLITE_PATIENCE}}
    try:
        with reaching(url):
            return Storage(
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


def belonging(study: optuna.Study, storage: RDBStorage, folder: Path) -> optuna.Study:
    """The study, if it is of this folder; one that is of none yet is from now on. Call it with the claim held.

    Studies are named by their sweeps alone. Of another folder's the locks and the ledger are not here: its
    running cells would look dead.

    Args:
        study: Of :func:`open_study`.
        storage: Where it is.
        folder: The sweep's.

    Raises:
        ConfigError: If it is of another folder.
    """
    mark = _mark_of(folder)
    found = study.user_attrs.get(FOLDER)
    if found is None:
        place = f'{folder.absolute()} on {socket.gethostname()}'
        study.set_user_attr(FOLDER, {'mark': mark, 'place': place})
    elif found['mark'] != mark:
        name, url = study.study_name, hidden(storage.url)
        raise ConfigError(
            f'sweep {name}: the database {url} has a study of that name that belongs to another folder '
            f'({found["place"]}), expected that of {folder}. To join it, work in that folder, shared. To have '
            'one beside it, give the sweep another name or use another database. If that folder is gone for '
            f'good: optuna delete-study --study-name {name} --storage {url}'
        )
    return study


def _mark_of(folder: Path) -> str:
    file = folder / MARK
    with contextlib.suppress(FileNotFoundError):
        return file.read_text(encoding='utf-8').strip()
    write_text(file, f'{uuid.uuid4().hex}\n')
    return _mark_of(folder)


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
