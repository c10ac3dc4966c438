"""A fingerprint of a set of files by content."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from arml.atomic import write_text
from arml.errors import DataError

_CHUNK = 1 << 20


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal digits.

    Raises:
        DataError: If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, 'rb') as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror or error})') from error
    return digest.hexdigest()


def fingerprint(files: Iterable[Path], root: Path, cache: Path | None = None) -> str:
    """SHA-256 over the sorted pairs of relative name and content SHA-256.

    The place of ``root``, dates and the order of ``files`` do not matter; a changed, added,
    removed or renamed file does.

    Args:
        files: Files under ``root``; a file named twice counts once.
        root: Folder the names are taken relative to.
        cache: JSON file that remembers content hashes by (name, size, mtime in ns), so that an
            unchanged file is not read again. Written whole or not at all; a damaged cache is
            made anew.

    Raises:
        DataError: If a file is not under ``root`` or cannot be read.
    """
    root = Path(root)
    known = _read_cache(cache) if cache is not None else {}
    fresh: dict[str, list] = {}
    total = hashlib.sha256()
    for name, path in sorted({_relative(Path(path), root): Path(path) for path in files}.items()):
        try:
            stat = path.stat()
        except OSError as error:
            raise DataError(f'{path}: cannot be read ({error.strerror or error})') from error
        stamp = [stat.st_size, stat.st_mtime_ns]
        entry = known.get(name)
        content = entry[2] if entry and entry[:2] == stamp else file_sha256(path)
        fresh[name] = [*stamp, content]
        total.update(f'{name}\0{content}\n'.encode())
    if cache is not None and any(known.get(name) != entry for name, entry in fresh.items()):
        write_text(cache, json.dumps({**known, **fresh}))
    return total.hexdigest()


def _relative(path: Path, root: Path) -> str:
    try:
        return path.absolute().relative_to(root.absolute()).as_posix()
    except ValueError as error:
        raise DataError(f'{path}: not under the data folder {root}') from error


def _read_cache(cache: Path) -> dict[str, list]:
    try:
        content = json.loads(Path(cache).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        name: entry
        for name, entry in content.items()
        if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], str)
    }
