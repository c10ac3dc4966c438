"""Training machinery around mmengine's Runner: safe checkpoints, exact resumption, histories."""

from arml.engine.checkpoint import use_safe_loading
from arml.engine.hooks import EpochSeedHook, HistoryHook, StageCheckpointHook
from arml.engine.optim import CAMOptimWrapperConstructor
from arml.engine.runner import StageRunner

use_safe_loading()

__all__ = [
    'CAMOptimWrapperConstructor',
    'EpochSeedHook',
    'HistoryHook',
    'StageCheckpointHook',
    'StageRunner',
    'use_safe_loading',
]
