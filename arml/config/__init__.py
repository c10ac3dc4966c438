"""Configs: read, checked, resolved and cut into the sections that stages run on."""

from arml.config.load import load_config
from arml.config.overrides import apply_overrides
from arml.config.sections import runner_config

__all__ = ['apply_overrides', 'load_config', 'runner_config']
