"""A data folder that is whole or absent."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from arml.atomic import unwritable
from arml.errors import DataError


@contextlib.contextmanager
def building(out: str | Path, sources: Iterable[Path] = (), force: bool = False) -> Iterator[Path]:
    """Give an empty folder beside ``out``; on success it becomes ``out``, on error it is removed.

    Killed in the middle, a hidden folder ``.<name>.partial-*`` stays, which no tool takes for
    data, and which the next run removes if its maker is no longer alive.

    Args:
        out: The data folder to make.
        sources: What is read; none may lie in ``out`` or be it.
        force: Replace an existing ``out``; without it an existing folder is refused.

    Raises:
        DataError: If ``out`` exists without ``force``, or a source lies in it.
        ArmlError: If the disk is full or the folder cannot be written.
    """
    out = Path(out).absolute()
    for source in map(Path, sources):
        if out.resolve() in (source.resolve(), *source.resolve().parents):
            raise DataError(f'{out}: the source {source} lies in it; choose another --out')
    if out.exists() and not force:
        raise DataError(f'{out}: is already there; give --force to replace it, or another --out')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out)
        made = tempfile.mkdtemp(prefix=f'.{out.name}.partial-{os.getpid()}-', dir=out.parent)
    except OSError as error:
        raise unwritable(out, error) from error
    partial = Path(made)
    try:
        yield partial
        _publish(partial, out)
    except OSError as error:
        raise unwritable(out, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, out: Path) -> None:
    """Rename, the old folder first if there is one: in between ``out`` is absent, never mixed."""
    umask = os.umask(0)
    os.umask(umask)
    partial.chmod(0o777 & ~umask)  # mkdtemp makes folders only the owner may enter
    old = partial.with_name(partial.name + '.old')
    if out.exists():
        os.rename(out, old)
    os.rename(partial, out)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)


def _remove_leftovers(out: Path) -> None:
    """Remove what killed runs left, but not their ``.old``: it may be the only whole copy."""
    for leftover in out.parent.glob(f'.{out.name}.partial-*'):
        maker = leftover.name.removeprefix(f'.{out.name}.partial-').split('-')[0]
        if leftover.suffix != '.old' and maker.isdigit() and not _alive(int(maker)):
            shutil.rmtree(leftover, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
