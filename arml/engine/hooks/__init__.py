"""Hooks: reactions to the events of a training."""

from arml.engine.hooks.checkpointing import StageCheckpointHook
from arml.engine.hooks.history import HistoryHook
from arml.engine.hooks.parameter_check import ParameterCheckHook
from arml.engine.hooks.runtime_info import RuntimeInfoHook
from arml.engine.hooks.seeding import EpochSeedHook

__all__ = [
    'EpochSeedHook',
    'HistoryHook',
    'ParameterCheckHook',
    'RuntimeInfoHook',
    'StageCheckpointHook',
]
