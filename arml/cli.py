"""What every command-line tool does about errors that a user is meant to read."""

import argparse
import errno
import re
import sys
from collections.abc import Callable
from pathlib import Path

from arml.errors import ArmlError


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help with the default of every option that has one worth reading."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or isinstance(action.default, bool):
            return action.help
        if '(default:' in (action.help or ''):
            return action.help
        return super()._get_help_string(action)


class Overrides(argparse.Action):
    """``--cfg-options KEY=VALUE ...`` as mmengine reads it, with an error for a word without ``=``."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Collect the overrides; mmengine's own action would end in a traceback."""
        from mmengine.config import DictAction

        words = [values] if isinstance(values, str) else list(values)
        for word in words:
            if '=' not in word:
                parser.error(
                    f'{option_string}: found {word!r}, expected KEY=VALUE (a value with a space in it '
                    'must be quoted together with its key: "KEY=a value")'
                )
        reader = DictAction(self.option_strings, self.dest, nargs='+')
        reader(parser, namespace, words, option_string)


def run_tool(main: Callable[[], int | None]) -> int:
    """Run a tool's ``main`` and turn an explained error into a message and a status.

    Use as ``sys.exit(run_tool(main))``. Any other exception is a fault of the program and
    keeps its traceback.

    Args:
        main: The tool, returning an exit status or ``None`` for 0.

    Returns:
        The status of the tool; 2 after an :class:`ArmlError` or on a full disk, whose message has
        gone to stderr; 130 after Ctrl-C.
    """
    try:
        return main() or 0
    except ArmlError as error:
        print(f'error: {message_of(error)}', file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # A log or a library's own file; ours are written by arml.atomic, which explains itself.
        from arml.atomic import unwritable

        print(f'error: {unwritable(Path(error.filename or "a file"), error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130


def message_of(error: ArmlError) -> str:
    """The message alone. An error in a loading process arrives with that process's traceback around it."""
    text = str(error)
    if re.match(r'Caught \w+ in .*process', text):
        *_, last = re.split(rf'^(?:[\w.]+\.)?{type(error).__name__}: ', text, flags=re.MULTILINE)
        text = last
    return text.rstrip()
