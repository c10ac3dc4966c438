"""Log lines short enough to be read."""

import re

from mmengine.runner import LogProcessor

from arml.registry import LOG_PROCESSORS

#: Scores by class under the second protocol, Dice by class and the like: in the history, not in the line.
_DETAIL = re.compile(r'\s+(?:B\.|Dice\.|AP\.|label_accuracy\.)\S+: \S+')


@LOG_PROCESSORS.register_module()
class BriefLogProcessor(LogProcessor):
    """mmengine's log processor; its line after a validation or test names the main scores only."""

    def get_log_after_epoch(self, runner, batch: int, mode: str, with_non_scalar: bool = False):
        """All scores as they are, and a line without the detail."""
        scores, line = super().get_log_after_epoch(runner, batch, mode, with_non_scalar)
        return scores, _DETAIL.sub('', line)
