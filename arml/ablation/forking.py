"""The warm process: imports everything, then forks for each wish on its standard input. Run by ``warm.py``.

Wishes and answers are lines of JSON. A wish has ``command`` (program and arguments), ``log``, ``environment`` and
``cwd``; the answers to it are the ``pid`` of the fork and, once it has ended, its ``status``.
"""

import atexit
import gc
import json
import os
import runpy
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def serve(parent: int) -> dict[str, Any] | None:
    """Import everything, then fork for each wish on standard input, one after the other.

    Args:
        parent: Process that this one dies with.

    Returns:
        In a fork, its wish; None at the end.
    """
    wishes, answers = os.fdopen(os.dup(0), 'rb', buffering=0), os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    from arml.startup import start

    start()
    from arml.ablation.child import die_with
    from arml.pipeline.environment import commit

    die_with(parent)
    commit()  # remembered: of the code that has been imported now
    gc.collect()
    gc.freeze()
    own = os.getpid()
    os.write(answers, b'{"ready": true}\n')
    while line := wishes.readline():
        sys.stdout.flush()
        sys.stderr.flush()
        led, leads = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(answers)
            os.close(led)
            wishes.close()
            os.setsid()
            os.close(leads)
            die_with(own)
            return json.loads(line)
        os.close(leads)
        os.read(
            led, 1
        )  # its end: the fork leads a session, which may be ended as a whole, or is dead
        os.close(led)
        os.write(answers, json.dumps({'pid': pid}).encode() + b'\n')
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(answers, json.dumps({'status': status}).encode() + b'\n')
    return None


def become(wish: Mapping[str, Any]) -> int:
    """Run the program of a wish as ``python PROGRAM ARGS`` would; its exit status."""
    log = os.open(wish['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for there, here in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(there, here)
    sys.stdin = open(0, encoding='utf-8', closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(wish['environment'])
    os.chdir(wish['cwd'])
    program = wish['command'][0]
    sys.argv = list(wish['command'])
    sys.path.insert(0, str(Path(program).absolute().parent))
    time.tzset()
    try:
        runpy.run_path(program, run_name='__main__')
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def leave(status: int) -> None:
    """End the process as the interpreter would, but do not take the modules apart, which takes a second."""
    threading._shutdown()  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == '__main__':
    found = serve(int(sys.argv[1]))
    if found is not None:
        leave(become(found))
