"""The trackers of the run that this process works on, from its first stage to its last."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from arml.report.result import load_history
from arml.tracking import names
from arml.tracking.guard import Guard
from arml.tracking.note import Note
from arml.tracking.tensorboard_tracker import TensorboardTracker
from arml.tracking.tracker import Made, RunInfo, Tracker
from arml.tracking.wandb_tracker import WandbTracker

#: Trackers by the ``type`` of their backend in ``visualizer.vis_backends``.
TRACKERS: dict[str, type[Tracker]] = {
    'arml.WandbVisBackend': WandbTracker,
    'arml.TensorboardVisBackend': TensorboardTracker,
}
#: Places and names that are of a backend, not of its tracker.
BACKEND = ('type', 'save_dir', 'name', 'watch_kwargs')

#: Seconds for the end of a tracker that has failed before.
LAST_PATIENCE = 15.0

_current: 'Session | None' = None


class Follower:
    """One tracker behind its guard, and what it has of each stage.

    Args:
        kind: The ``type`` of its backend.
        options: Further arguments of the tracker.
        info: The run.
        say: Takes warnings.
    """

    def __init__(
        self, kind: str, options: Mapping[str, Any], info: RunInfo, say: Callable[[str], None]
    ) -> None:
        self.kind = kind
        cls = TRACKERS[kind]
        self.guard = Guard(cls.name, say, cls.advice)
        self.tracker: Tracker | None = self.guard('begin', lambda: cls(info, **options))
        self._note = Note(info.folder, info.key, cls.name)
        self._logged: set[str] = set()  # stages of which this process has logged a point

    def log(self, point: Mapping[str, float], stage: str, history: Path | None = None) -> None:
        """A point of a training that runs.

        Args:
            point: As of :func:`arml.tracking.names.curve`.
            stage: Its stage.
            history: Where the epochs lie that an earlier process trained.
        """
        self._patiently('log', self._log, point, stage, history)

    def image(self, name: str, image: Any, iteration: int, stage: str) -> None:
        """A picture of a training that runs."""
        self._patiently('image', lambda: self.tracker.image(name, image, iteration, stage))

    def fill(self, stage: str, history: Path) -> None:
        """The curves of a stage that was finished before, from its history."""
        self._patiently('history', self._fill, stage, history)

    def product(self, made: Made, reused: bool) -> None:
        """A product of the run."""
        self._patiently('product', lambda: self.tracker.product(made, reused))

    def end_stage(self, stage: str) -> None:
        """Remember that the curves of a stage are whole."""
        if stage in self._logged:
            self.guard('note', self._remember, stage, 'whole')

    def result(self, result: Mapping[str, Any], folder: Path) -> None:
        """The end of the run."""
        self._patiently('result', lambda: self.tracker.result(result, folder))

    def close(self, status: int) -> None:
        """End it; also one that has failed, as far and as long as it can be."""
        if self.guard.on:
            self.guard('finish', lambda: self.tracker.close(status))
        elif self.tracker is not None:
            with contextlib.suppress(Exception):
                self.tracker.close(status, LAST_PATIENCE)

    def _patiently(self, what: str, call: Callable[..., None], *args: Any) -> None:
        """A call that waits for a server or for the tracker's own process, which may not answer."""
        patience = self.tracker.patience if self.tracker is not None else None
        self.guard(what, call, *args, patience=patience)

    def _log(self, point: Mapping[str, float], stage: str, history: Path | None) -> None:
        if stage not in self._logged:
            self._logged.add(stage)
            if history is not None and history.is_file():
                before = point[f'{stage}/iter']
                rows = [row for row in load_history(history) if row['iter'] < before]
                self._log_missing(stage, rows, ('begun', 'whole'))
            self._remember(stage, 'begun')
        self.tracker.log(point, stage)

    def _fill(self, stage: str, history: Path) -> None:
        self._log_missing(stage, load_history(history), ('whole',))
        self._remember(stage, 'whole')

    def _log_missing(
        self, stage: str, rows: Sequence[Mapping[str, Any]], states: Sequence[str]
    ) -> None:
        """Those lines of a history that the run lacks.

        Args:
            stage: Their stage.
            rows: The lines.
            states: What the note must say of the stage for a run that has all it was told.
        """
        points = names.points_of_history(stage, rows)
        known = (self._note.read().get('stages') or {}).get(stage)
        if self.tracker.continues and known is not None:
            last = self.tracker.last()
            if last is not None:
                points = [point for point in points if names.is_beyond(point, stage, last)]
            elif known in states:
                points = []
        for point in points:
            self.tracker.log(point, stage)

    def _remember(self, stage: str, state: str) -> None:
        stages = self._note.read().get('stages') or {}
        self._note.update(stages={**stages, stage: state})


class Session:
    """All trackers of one run.

    Args:
        followers: Those that the config asks for; none where nothing is tracked.
    """

    def __init__(self, followers: Iterable[Follower] = ()) -> None:
        self.followers = list(followers)
        self.stage = ''
        self.history: Path | None = None

    def follower(self, kind: str) -> Follower | None:
        """That of a backend."""
        return next((each for each in self.followers if each.kind == kind), None)

    def begin_stage(self, stage: str, folder: Path) -> None:
        """A stage begins, or goes on, in a folder."""
        self.stage, self.history = stage, folder / 'history.jsonl'

    def end_stage(self, made: Made | None = None) -> None:
        """The stage has made its product."""
        for follower in self.followers:
            follower.end_stage(self.stage)
            if made is not None:
                follower.product(made, False)

    def reuse_stage(self, stage: str, history: Path | None, made: Made | None = None) -> None:
        """A stage's product was found; its curves and its use appear all the same."""
        for follower in self.followers:
            if history is not None:
                follower.fill(stage, history)
            if made is not None:
                follower.product(made, True)

    def result(self, result: Mapping[str, Any], folder: Path) -> None:
        """What the run ended with."""
        for follower in self.followers:
            follower.result(result, folder)

    def close(self, status: int) -> None:
        """End all trackers."""
        for follower in self.followers:
            follower.close(status)


def current() -> Session | None:
    """The session of the run that this process works on."""
    return _current


def wanted(backends: Iterable[Mapping[str, Any]] | None) -> dict[str, dict[str, Any]]:
    """The trackers that a config's ``visualizer.vis_backends`` asks for, with their options."""
    return {
        backend['type']: {key: value for key, value in backend.items() if key not in BACKEND}
        for backend in backends or ()
        if backend.get('type') in TRACKERS
    }


@contextlib.contextmanager
def follow(
    backends: Iterable[Mapping[str, Any]] | None, info: RunInfo, say: Callable[[str], None]
) -> Iterator[Session]:
    """Track a run: all that happens inside belongs to it, and an exception ends it as failed.

    Args:
        backends: The config's ``visualizer.vis_backends``; without one of ours nothing is tracked.
        info: The run.
        say: Takes the warnings of trackers that fail.
    """
    global _current
    session = Session(
        Follower(kind, options, info, say) for kind, options in wanted(backends).items()
    )
    _current = session
    try:
        yield session
    except BaseException as error:
        session.close(status_of(error))
        raise
    else:
        session.close(0)
    finally:
        _current = None


def status_of(error: BaseException) -> int:
    """The exit status of a process that ends with an exception."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return 1
