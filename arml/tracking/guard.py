"""A training never dies, and never hangs, because its tracking does."""

import threading
from collections.abc import Callable
from typing import Any


class Guard:
    """Calls into a tracker. The first that fails is its last: one warning, then silence.

    Args:
        name: Of the tracker, for the warning.
        say: Takes the warning.
        advice: What to do about it.
    """

    def __init__(self, name: str, say: Callable[[str], None], advice: str) -> None:
        self.name, self.say, self.advice = name, say, advice
        self.on = True

    def __call__(
        self, what: str, call: Callable[..., Any], *args: Any, patience: float | None = None
    ) -> Any:
        """The result of a call; None if it failed or the tracking is off.

        Args:
            what: What it is for, for the warning.
            call: The call.
            *args: Its arguments.
            patience: Seconds after which it counts as failed; None: it cannot hang.
        """
        if not self.on:
            return None
        try:
            return call(*args) if patience is None else within(patience, call, *args)
        except Exception as error:
            self.on = False
            words = str(error).strip() or 'no reason given'
            self.say(
                f'warning: {self.name} tracking is off from here, the training goes on. {what}: '
                f'{type(error).__name__}: {words}. {self.advice}'
            )
            return None


def within(seconds: float, call: Callable[..., Any], *args: Any) -> Any:
    """The result of a call that is given up after some time; its thread is left behind.

    Raises:
        TimeoutError: If it takes longer.
    """
    outcome: dict[str, Any] = {}

    def work() -> None:
        try:
            outcome['result'] = call(*args)
        except BaseException as error:
            outcome['error'] = error

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f'no answer in {seconds:g} s')
    if 'error' in outcome:
        raise outcome['error']
    return outcome['result']
