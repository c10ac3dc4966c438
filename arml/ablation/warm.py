"""Cells that start at once: a process that has imported everything is forked for each of them.

Most of a short cell's start is imports. A warm process does them once for each worker; a fork of it then is as fresh
as a new interpreter, but for what was imported: code that is edited later is not seen, and the commit that
results name is the one that was imported.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from arml.errors import ArmlError

#: Seconds that the imports may take, on the slowest file system.
PATIENCE = 600.0
#: How often a warm process may be killed in a row.
TRIES = 3
#: Asks torch to look for GPUs without touching them: what a process has touched is lost to its forks.
UNTOUCHED = {'PYTORCH_NVML_BASED_CUDA_CHECK': '1'}


class Forked:
    """A process that a warm one started, with what :class:`subprocess.Popen` has of it.

    Args:
        pid: Its id, and that of its session.
        answers: Where its end is told.
    """

    def __init__(self, pid: int, answers: IO[bytes]) -> None:
        self.pid, self._answers = pid, answers
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: If it has not come within ``timeout`` seconds.
        """
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f'process {self.pid}', timeout or 0)
        return status

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._answers], [], [], timeout)[0]:
            line = self._answers.readline()
            # No line: the warm process is gone, and the kernel has ended this one with it.
            self.returncode = json.loads(line)['status'] if line else -9
        return self.returncode


class Warm:
    """A warm process and the cells that it starts, one at a time.

    Args:
        log: File for what its imports say.
        environment: Of all cells, as far as imports read it: threads.
    """

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log, self._environment = log, {**environment, **UNTOUCHED}
        self._process: subprocess.Popen | None = None

    def begin(self) -> None:
        """Import everything now rather than with the first cell.

        Raises:
            ArmlError: If the imports fail.
        """
        self._warmed()

    def start(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Forked:
        """Start a Python program.

        Args:
            command: Program and arguments, without the interpreter.
            log: File that its output is added to.
            environment: All its environment variables.

        Raises:
            ArmlError: If the imports fail.
        """
        wish = {
            'command': list(command), 'log': str(log.absolute()), 'cwd': os.getcwd(),
            'environment': {**environment, **UNTOUCHED},
        }  # fmt: skip
        for _ in range(TRIES):
            process = self._warmed()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(wish).encode() + b'\n')
                process.stdin.flush()
                if line := process.stdout.readline():
                    return Forked(json.loads(line)['pid'], process.stdout)
        raise ArmlError(
            f'a warm process was killed {TRIES} times before it could start a cell. Look for what ends '
            'processes here: too little memory for as many workers, a limit of the cluster.'
        )

    def close(self) -> None:
        """End the warm process."""
        if self._process is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None
        with contextlib.suppress(OSError):
            if not self._log.stat().st_size:
                self._log.unlink()

    def _warmed(self) -> subprocess.Popen:
        """The warm process; a new one if it has died or been killed."""
        for _ in range(TRIES):
            if self._process is not None and self._process.poll() is None:
                return self._process
            self.close()
            self._launch()
            ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
            if ready and self._process.stdout.readline():
                continue
            if not ready:
                self._process.kill()
            if self._process.wait() > 0 or not ready:
                raise ArmlError(
                    f'a warm process cannot import what cells need: {self._last_words()}'
                )
        return self._process

    def _launch(self) -> None:
        # -P: the folder of that file has names that libraries import, too.
        program = str(Path(__file__).with_name('forking.py'))
        with self._log.open('w', encoding='utf-8') as said:
            self._process = subprocess.Popen(
                [sys.executable, '-P', program, str(os.getpid())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
                env=dict(self._environment), bufsize=0, start_new_session=True,
            )  # fmt: skip

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        return f'{lines[-1] if lines else "none"} ({self._log})'
