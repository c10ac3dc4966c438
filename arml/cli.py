"""What every command-line tool does about errors that a user is meant to read."""

import sys
from collections.abc import Callable

from arml.errors import ArmlError


def run_tool(main: Callable[[], int | None]) -> int:
    """Run a tool's ``main`` and turn an explained error into a message and a status.

    Use as ``sys.exit(run_tool(main))``. Any other exception is a fault of the program and
    keeps its traceback.

    Args:
        main: The tool, returning an exit status or ``None`` for 0.

    Returns:
        The status of the tool; 2 after an :class:`ArmlError`, whose message has gone to
        stderr; 130 after Ctrl-C.
    """
    try:
        return main() or 0
    except ArmlError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
