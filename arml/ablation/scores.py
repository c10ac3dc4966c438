"""The scores that the runs of a config will have, known before one is run: what a sweep may be led by."""

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from arml.config.load import resolve_config
from arml.config.sections import runner_config
from arml.errors import ConfigError
from arml.pipeline.data import metainfo_of
from arml.registry import METRICS

#: The stages whose evaluators are known by the config: of a test, and of a training with its validation.
TEST, TRAINING = 'arml.TestStage', 'arml.TrainStage'


def scores_of(base: Config, values: Mapping[str, Any], stage: str | None) -> list[str]:
    """What the evaluators of a stage's validation give, or those of the test.

    Args:
        base: As read from its file (:func:`arml.config.load.read_config`); stays as it is.
        values: Overrides by dotted path, one of those that the runs will have.
        stage: A stage with a validation; None: the test.

    Returns:
        Names; none where nobody can know them: other metrics or stages than ours, a config that is at fault.
    """
    try:
        config = resolve_config(copy.deepcopy(base), dict(values), for_run=True)
        entries = config.get('pipeline') or []
        if stage is None:  # the last one's line is that of the run
            tests = [entry for entry in entries if entry.get('type') == TEST]
            return _of_section(config, tests[-1].get('section'), 'test') if tests else []
        trained = [e for e in entries if e.get('name') == stage and e.get('type') == TRAINING]
        return _of_section(config, trained[0].get('section'), 'val') if trained else []
    except (ConfigError, KeyError, TypeError, _Unknown):  # what is wrong is said where it is used
        return []


class _Unknown(Exception):
    """A metric does not say what it gives."""


def _of_section(config: Config, section: str | None, split: str) -> list[str]:
    settings = runner_config(config, section)
    evaluators = settings.get(f'{split}_evaluator')
    loader = settings.get(f'{split}_dataloader')
    if not evaluators or not loader:
        raise _Unknown
    info = metainfo_of(loader['dataset'])
    found: list[str] = []
    for entry in evaluators if isinstance(evaluators, list) else [evaluators]:
        metric = METRICS.build(copy.deepcopy(entry))
        if not hasattr(metric, 'score_names'):
            raise _Unknown
        metric.dataset_meta = info
        found += metric.score_names()
    return found
