"""The common stages."""

from arml.pipeline.stages.floors import FloorStage
from arml.pipeline.stages.masks import MaskStage
from arml.pipeline.stages.scores import MaskScoreStage
from arml.pipeline.stages.test import TestStage
from arml.pipeline.stages.train import TrainStage

__all__ = ['FloorStage', 'MaskScoreStage', 'MaskStage', 'TestStage', 'TrainStage']
