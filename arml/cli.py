"""What every command-line tool does about errors that a user is meant to read."""

import argparse
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from arml.atomic import ADVICE, free_space, is_full, unwritable
from arml.errors import ArmlError

#: What a tool is told on a full disk that writes what ``--out`` names, and does not resume.
ADVICE_OUT = 'Free some space or give an --out on another disk, then run the same command again.'
#: Options that name where a tool writes.
PLACES = ('--work-dir', '--out', '--show-dir')


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


def run_tool(main: Callable[[], int | None], advice: str = ADVICE) -> int:
    """Run a tool's ``main`` and turn an explained error into a message and a status.

    Use as ``sys.exit(run_tool(main))``. Any other exception is a fault of the program and
    keeps its traceback.

    Args:
        main: The tool, returning an exit status or ``None`` for 0.
        advice: What to do about a full disk; names no option that the tool lacks.

    Returns:
        The status of the tool; 2 after an :class:`ArmlError` or on a full disk, whose message has
        gone to stderr; 130 after Ctrl-C.
    """
    try:
        return main() or 0
    except ArmlError as error:
        print(f'error: {message_of(error)}'.replace(ADVICE, advice), file=sys.stderr)
        return 2
    except OSError as error:
        if not is_full(error):
            raise
        # A log or a library's own file; ours are written by arml.atomic, which explains itself.
        file = file_of(error)
        if file is None:
            message = f'cannot write a file: a disk is full ({", ".join(free_spaces())}). {advice}'
        else:
            message = str(unwritable(file, error)).replace(ADVICE, advice)
        print(f'error: {message}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130


def file_of(error: OSError) -> Path | None:
    """The file that could not be written: as the error says or, if it does not, the one open where it arose."""
    if error.filename is not None:
        return Path(os.fsdecode(error.filename))
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in frame.f_locals.values():
            name = getattr(value, 'name', None) if isinstance(value, io.IOBase) else None
            name = getattr(value, 'baseFilename', name)  # of a log's handler
            if isinstance(name, str):
                found = Path(name)
    return found


def free_spaces(argv: Sequence[str] | None = None) -> list[str]:
    """Free space of each folder that the command writes to, as far as its command line tells."""
    words = sys.argv[1:] if argv is None else list(argv)
    words = [part for word in words for part in word.split('=', 1)]
    places = [Path(b) for a, b in zip(words, words[1:], strict=False) if a in (*PLACES, 'store')]
    places += [Path(os.environ[name]) for name in ('ARML_STORE',) if name in os.environ]
    return list(dict.fromkeys(free_space(place) for place in [*places, Path.cwd()]))


def message_of(error: ArmlError) -> str:
    """The message alone. An error in a loading process arrives with that process's traceback around it."""
    text = str(error)
    if re.match(r'Caught \w+ in .*process', text):
        *_, last = re.split(rf'^(?:[\w.]+\.)?{type(error).__name__}: ', text, flags=re.MULTILINE)
        text = last
    return text.rstrip()
