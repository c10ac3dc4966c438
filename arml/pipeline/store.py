"""The store of products, shared by all runs: one folder a key, whole once ``product.json`` is in it."""

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from arml.atomic import unwritable, write_json
from arml.errors import ArmlError
from arml.pipeline.environment import describe

RECORD = 'product.json'


@dataclass(frozen=True)
class Product:
    """A finished product: what a stage left under its key."""

    folder: Path
    record: dict[str, Any]

    @property
    def key(self) -> str:
        """The hash of all that determines it."""
        return self.record['key']

    def path(self, item: str) -> Path:
        """The file or folder of a named item.

        Raises:
            ArmlError: If the product has no such item.
        """
        items = self.record['items']
        if item not in items:
            raise ArmlError(
                f'product {self.folder}: it has no item {item!r}, only {", ".join(items) or "none"}.'
            )
        return self.folder / items[item]


class Store:
    """Products by stage name and key, below one root folder.

    A product is written in place and counts only once its record, written last and by rename, is
    there. A lock file per key lets one process work on it at a time; the operating system frees it
    when that process dies.

    Args:
        root: The store's folder; made when first written to.
    """

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root).absolute()

    def folder(self, stage: str, key: str) -> Path:
        """Where the product of a stage with this key lies or will lie."""
        return self.root / stage / key

    def find(self, stage: str, key: str) -> Product | None:
        """The finished product, or None.

        Raises:
            ArmlError: If its record is broken or one of its items is gone.
        """
        folder = self.folder(stage, key)
        file = folder / RECORD
        if not file.is_file():
            return None
        try:
            record = json.loads(file.read_text())
            items = dict(record['items'])
        except (ValueError, TypeError, KeyError) as error:
            raise ArmlError(
                f'{file}: is no record of a product ({error}). Remove the folder {folder} to have it made again.'
            ) from error
        gone = [name for name, item in items.items() if not (folder / item).exists()]
        if gone:
            raise ArmlError(
                f'product {folder}: {", ".join(gone)} is gone from it. Remove the folder to have it made again.'
            )
        return Product(folder, record)

    def started(self, stage: str, key: str) -> bool:
        """Whether an unfinished product lies there."""
        folder = self.folder(stage, key)
        return folder.is_dir() and not (folder / RECORD).is_file() and any(folder.iterdir())

    def clear(self, stage: str, key: str) -> None:
        """Remove an unfinished product."""
        if not (self.folder(stage, key) / RECORD).is_file():
            shutil.rmtree(self.folder(stage, key), ignore_errors=True)

    def finish(self, stage: str, key: str, record: dict[str, Any]) -> Product:
        """Declare the product whole. ``record['items']`` maps names to paths in its folder.

        The record says beside the key, which it does not change, what the product was made with
        (``made``): whoever finds the product later has another commit and other versions.
        """
        folder = self.folder(stage, key)
        made = {**record, 'key': key, 'stage': stage, 'made': describe()}
        write_json(folder / RECORD, made)
        return Product(folder, json.loads((folder / RECORD).read_text()))

    @contextlib.contextmanager
    def lock(self, stage: str, key: str, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the key's lock; say so if another process has it, and wait for that one."""
        file = self.folder(stage, key).with_suffix('.lock')
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(file)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                say(f'{stage} {key}: another process works on it ({_holder(file)}); waiting for it')
                lock.acquire()
        except OSError as error:
            raise unwritable(file, error) from error
        try:
            _note_holder(file)
            yield
        finally:
            lock.release()


def _note_holder(file: Path) -> None:
    note = file.with_suffix('.holder')
    with contextlib.suppress(OSError):  # only a convenience for whoever waits
        note.write_text(f'process {os.getpid()} on {socket.gethostname()} since {time.ctime()}')


def _holder(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.with_suffix('.holder').read_text()
    return 'unknown'
