"""What a tracker does, and what it is told about a run."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunInfo:
    """A run, as its trackers know it.

    Attributes:
        folder: Its work dir.
        key: Hash of all that determines its result.
        name: How it is called where nothing else is asked for.
        settings: Plain values worth a column: what was overridden, the seed, commit, versions.
        files: Small files that go along: the resolved config.
    """

    folder: Path
    key: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Made:
    """A product that a tracker keeps the descent of: a checkpoint or masks.

    Attributes:
        stage: The stage that made it.
        name: Its name, of stage and key: equal products are one.
        kind: ``'checkpoint'`` or ``'masks'``.
        paths: Files and folders it consists of.
        metadata: Plain values: key, seed, commit, what it was made from.
    """

    stage: str
    name: str
    kind: str
    paths: tuple[Path, ...]
    metadata: Mapping[str, Any]


class Tracker(ABC):
    """One run in one service or folder. Every method may fail: :class:`arml.tracking.guard.Guard`."""

    #: Name in ``tracking.json`` and in warnings.
    name: str
    #: What to do when it has failed.
    advice: str
    #: Whether it goes on with what an earlier process logged of this run.
    continues: bool = False
    #: Seconds that one call may take; None: it waits for nobody.
    patience: float | None = None

    @abstractmethod
    def log(self, point: Mapping[str, float], stage: str) -> None:
        """One point of some curves (:func:`arml.tracking.names.curve`)."""

    @abstractmethod
    def image(self, name: str, image: Any, iteration: int, stage: str) -> None:
        """A picture, RGB, uint8, (H, W, 3)."""

    @abstractmethod
    def product(self, made: Made, reused: bool) -> None:
        """A product that the run made, or found made and takes."""

    @abstractmethod
    def result(self, result: Mapping[str, Any], folder: Path) -> None:
        """The end: scores, tables and pictures of a ``result.json`` and its work dir."""

    @abstractmethod
    def close(self, status: int, patience: float | None = None) -> None:
        """End it, with all that it holds.

        Args:
            status: Other than 0 it is that of a failed run.
            patience: Seconds that this may take; None: as long as its own limits say.
        """

    def last(self) -> Mapping[str, Any] | None:
        """The newest value of each curve in the run that it goes on with; None: it has all that was logged."""
        return None
