"""What the pipeline says to the person at the terminal."""

import sys


def say(text: str) -> None:
    """One message on standard error."""
    sys.stderr.write(f'[arml] {text}\n')
    sys.stderr.flush()
