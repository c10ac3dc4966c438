"""A PostgreSQL server of our own, thrown away afterwards."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

#: Where distributions put the server's programs that are not on the path.
PLACES = '/usr/lib/postgresql/*/bin'
#: Accounts that may run the server where we are root, which it refuses to be.
ACCOUNTS = ('postgres', 'nobody')


def missing() -> str | None:
    """Why there can be no server here; None if there can be one."""
    absent = [name for name in ('initdb', 'postgres') if program(name) is None]
    if absent:
        return f'no PostgreSQL server here: {", ".join(absent)} not found'
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f'no driver of PostgreSQL here: {error}'
    return None


def program(name: str) -> str | None:
    """A program of the server."""
    found = shutil.which(name)
    if found is not None:
        return found
    places = sorted(Path('/').glob(f'{PLACES[1:]}/{name}'))
    return str(places[-1]) if places else None


class Server:
    """A server of its own data, which can be away for a while.

    Args:
        folder: For data, socket and log.
    """

    def __init__(self, folder: str) -> None:
        self._folder, self._account, self._port = Path(folder), _account(folder), _free_port()
        self.url = f'postgresql+psycopg://arml@127.0.0.1:{self._port}/postgres'
        made = subprocess.run(
            [program('initdb'), '-D', self._folder / 'data', '-U', 'arml', '-A', 'trust', '--no-sync', '-E',
             'UTF8', '--locale=C'],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, **self._account,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout.decode()
        self.start()

    def start(self) -> None:
        with (self._folder / 'log').open('ab') as log:
            self._process = subprocess.Popen(
                [program('postgres'), '-D', self._folder / 'data', '-p', str(self._port), '-k', self._folder,
                 '-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1'],
                stdout=log, stderr=subprocess.STDOUT, cwd=self._folder, **self._account,
            )  # fmt: skip
        _wait(self.url, self._process, self._folder / 'log')

    def stop(self) -> None:
        """Break all connections and refuse new ones."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A running server."""
    # Not in pytest's own folder, which no other account may enter.
    with tempfile.TemporaryDirectory(prefix='arml-pg-') as folder:
        found = Server(folder)
        try:
            yield found
        finally:
            found.stop()


def _account(folder: str) -> dict:
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            os.chown(folder, found.pw_uid, found.pw_gid)
            return {'user': found.pw_uid, 'group': found.pw_gid, 'extra_groups': []}
    raise RuntimeError(f'none of the accounts {ACCOUNTS} is here')


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    import psycopg

    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url.replace('+psycopg', '')).close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
