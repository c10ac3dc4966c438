"""Pipelines: named stages with declared inputs and keyed products."""

from arml.pipeline import stages
from arml.pipeline.run import run_pipeline
from arml.pipeline.stage import Context, Outcome, Stage
from arml.pipeline.store import Product, Store

__all__ = ['Context', 'Outcome', 'Product', 'Stage', 'Store', 'run_pipeline', 'stages']
