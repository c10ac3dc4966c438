"""Parts of a config: which are read, and the loaders and schedules in them."""

from typing import Any

from mmengine.config import Config

from arml.config.sections import OWN
from arml.errors import ConfigError

#: What belongs to the model of the top level, beside ``OWN``.
TOP = (*OWN, 'input_size', 'tile_size')


def unread_parts(config: Config) -> list[str]:
    """Top-level keys that no stage of the pipeline reads, where all of its types are known."""
    from arml.registry import STAGES  # the stages import this package

    read: set[str | None] = set()
    for entry in config.get('pipeline') or []:
        kind = entry.get('type')
        cls = STAGES.get(kind) if isinstance(kind, str) else None
        if cls is None:
            return []  # the pipeline is refused where it is built
        read |= cls.reads(entry)
    if not read:
        return []
    top = [] if None in read else [key for key in TOP if key in config]
    parts = [
        key
        for key, value in config.items()
        if isinstance(value, dict) and _is_section(key, value) and key not in read
    ]
    return [*top, *parts]


def refuse_unread(config: Config, overrides: dict[str, Any]) -> None:
    """Refuse overrides of what no stage of the pipeline reads.

    Raises:
        ConfigError: Names the override and the stages that there are.
    """
    unread = unread_parts(config)
    for path in overrides:
        part = path.split('.')[0]
        if part in unread:
            stages = ', '.join(str(entry.get('name')) for entry in config.pipeline)
            raise ConfigError(
                f'override {path}: no stage of the pipeline reads {part} (stages: {stages}). Leave it '
                'out, or take a config whose pipeline has such a stage.'
            )


def loaders_in(node: Any) -> list[dict]:
    """Every data loader in a config tree."""
    found = []
    items = node.items() if isinstance(node, dict) else ()
    for key, value in items:
        if isinstance(value, dict):
            if str(key).endswith('dataloader'):
                found.append(value)
            found += loaders_in(value)
    return found


def schedulers_of(section: dict) -> list[dict]:
    """The schedules of a section: one, a list, or such by the name of an optimiser."""
    found = section.get('param_scheduler') or []
    if isinstance(found, dict) and 'type' in found:
        return [found]
    if isinstance(found, dict):
        return [s for part in found.values() for s in schedulers_of({'param_scheduler': part})]
    return [scheduler for scheduler in found if isinstance(scheduler, dict)]


def _is_section(key: str, value: dict) -> bool:
    return key == 'pseudo_masks' or (key not in TOP and 'model' in value)
