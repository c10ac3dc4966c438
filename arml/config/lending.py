"""A model that a part of another model takes from a section of the config."""

import copy
from typing import Any

from mmengine.config import Config

from arml.config.tree import nodes
from arml.errors import ConfigError

#: Names the section, beside ``model``, which is filled in: ``gate=dict(model_of='classifier', model=None)``.
MODEL_OF = 'model_of'


def lend_models(config: Config) -> None:
    """Give every part with ``model_of`` the config of that section's model; in place.

    What a segmentor holds of an earlier stage then follows each override of that stage's section, and stands in
    the segmentor's own settings, which its key and its checkpoint are made of.

    Raises:
        ConfigError: If there is no such section, or the part has another model already.
    """
    for path, part in _borrowers(config):
        name, own = part[MODEL_OF], part.get('model')
        section = config.get(name) if isinstance(name, str) else None
        lent = section.get('model') if isinstance(section, dict) else None
        if lent is None and isinstance(own, dict):
            continue  # the config of a run, without the sections that its stages do not read
        if not isinstance(lent, dict):
            raise ConfigError(
                f'{path}.{MODEL_OF}: found {name!r}, expected a section of the config that has a model.'
            )
        if own is not None and own != lent:
            raise ConfigError(
                f'{path}.model: found other settings than {name}.model, which {path}.{MODEL_OF} takes them '
                f'from. Leave it None, or set {path}.{MODEL_OF}=None.'
            )
        part['model'] = copy.deepcopy(lent)


def take_back(config: Config) -> None:
    """Undo :func:`lend_models`, so that an override of a section reaches its borrowers; in place."""
    for _, part in _borrowers(config):
        section = config.get(part[MODEL_OF])
        if isinstance(section, dict) and part.get('model') == section.get('model'):
            part['model'] = None


def _borrowers(config: Config) -> list[tuple[str, dict[str, Any]]]:
    return [
        (path, node)
        for path, node in nodes(config._cfg_dict)
        if isinstance(node, dict) and node.get(MODEL_OF) is not None
    ]
