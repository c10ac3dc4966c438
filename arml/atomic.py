"""Files that are whole or absent: write to a temporary name, then rename."""

import contextlib
import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from arml.errors import ArmlError

#: What a training is told on a full disk. ``arml.cli.run_tool`` puts the advice of other tools in its place.
ADVICE = (
    'Free some space or point --work-dir and the store (ARML_STORE) at another disk, then run the '
    'same command again with --resume.'
)


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it becomes ``path``, on error it is removed.

    Args:
        path: The file to write. Its folder is made if missing.

    Yields:
        The temporary path to write to. It ends with the suffix of ``path``, because many
        writers choose their format by it.

    Raises:
        ArmlError: If the disk is full or the folder cannot be written; names the file and what to do.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f'.{path.stem[:80]}.', suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open('rb') as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> ArmlError:
    """Explain why ``path`` could not be written."""
    existing = _existing(path.parent)
    if is_full(error):
        return ArmlError(
            f'cannot write {path}: the disk is full ({free_space(existing)}). Nothing half-written '
            f'was kept. {ADVICE}'
        )
    return ArmlError(
        f'cannot write {path}: {error.strerror or error}. Check that {existing} is a folder you may write to.'
    )


def is_full(error: OSError) -> bool:
    """Whether a disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def free_space(folder: Path) -> str:
    """How much is free where a folder is, or will be made."""
    existing = _existing(folder)
    return f'{shutil.disk_usage(existing).free / 2**20:.0f} MiB free in {existing}'


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write text, UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8')


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a value as indented JSON, atomically. NaN and infinity become ``null``: JSON has neither."""
    write_text(path, json.dumps(_finite(value), indent=2, ensure_ascii=False) + '\n')


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, 'item') and getattr(value, 'ndim', 0) == 0:
        return _finite(value.item())
    if isinstance(value, Path):
        return str(value)
    return value
