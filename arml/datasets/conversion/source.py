"""What was published: zip archives or folders, read alike."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from arml.errors import DataError

_JUNK = ('__MACOSX', '.DS_Store', 'Thumbs.db')


class Source:
    """The PNG files of one or several archives or folders, by relative name.

    Several are read as one: a cloud drive hands a large folder out as several zip files.

    Args:
        paths: Zip archives or folders.

    Raises:
        DataError: If one is missing or damaged, is neither zip nor folder, or two hold the same
            file.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.paths = [Path(path) for path in paths]
        self._entries: dict[str, tuple[zipfile.ZipFile | Path, str]] = {}
        self._archives: list[zipfile.ZipFile] = []
        try:
            for path in self.paths:
                self._add(path)
        except BaseException:
            self.close()
            raise

    def names(self) -> list[str]:
        """Return the names of all PNG files, with ``/`` between their parts, sorted."""
        return sorted(self._entries)

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            DataError: If it is damaged in the archive or cannot be read.
        """
        holder, inner = self._entries[name]
        try:
            if isinstance(holder, zipfile.ZipFile):
                return holder.read(inner)
            return (holder / inner).read_bytes()
        except (OSError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError) as error:
            raise DataError(f'{name}: cannot be read from the source ({error})') from error
        except Exception as error:
            # zlib.error and the like of other compressors share no base class.
            raise DataError(f'{name}: damaged in the source ({error})') from error

    def close(self) -> None:
        """Close the archives."""
        for archive in self._archives:
            archive.close()

    def __enter__(self) -> 'Source':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, path: Path) -> None:
        if path.is_dir():
            found = ((path, p.relative_to(path).as_posix()) for p in path.rglob('*') if p.is_file())
        elif path.is_file():
            try:
                archive = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError) as error:
                raise DataError(
                    f'{path}: not a readable zip archive ({error}); expected a .zip or a folder. '
                    'Unpack other archives (.rar, .7z, .tar) and give the folder'
                ) from error
            self._archives.append(archive)
            found = ((archive, name) for name in archive.namelist())
        else:
            raise DataError(f'{path}: no such file or folder; expected the published archive')
        for holder, inner in _only_png(found):
            name = inner.replace('\\', '/')
            if name in self._entries:
                raise DataError(f'{path}: holds {name}, and so does another source; give it once')
            self._entries[name] = (holder, inner)


def _only_png(found: Iterable[tuple]) -> Iterator[tuple]:
    for holder, inner in found:
        parts = PurePosixPath(inner.replace('\\', '/')).parts
        hidden = any(part.startswith('.') or part in _JUNK for part in parts)
        if parts and not hidden and parts[-1].lower().endswith('.png'):
            yield holder, inner
