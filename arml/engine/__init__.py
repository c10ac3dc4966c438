"""Training machinery around mmengine's Runner: safe checkpoints, exact resumption, histories."""

from arml.engine.hooks import EpochSeedHook, HistoryHook, StageCheckpointHook
from arml.engine.log_processor import BriefLogProcessor
from arml.engine.optim import CAMOptimWrapperConstructor
from arml.engine.runner import StageRunner

__all__ = [
    'BriefLogProcessor',
    'CAMOptimWrapperConstructor',
    'EpochSeedHook',
    'HistoryHook',
    'StageCheckpointHook',
    'StageRunner',
]
