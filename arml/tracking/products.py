"""Products of a run's stages as trackers keep them, by the records that lie beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arml.registry import STAGES
from arml.tracking.names import artifact_name
from arml.tracking.tracker import Made


def kind_of(record: Mapping[str, Any]) -> str | None:
    """What trackers keep of a product: its ``checkpoint``, its ``masks``; None: nothing.

    Args:
        record: ``product.json`` of the product.
    """
    stage = STAGES.get(record['description']['type'])
    return None if stage is None else stage.tracked_as


def made_of(folder: Path, record: Mapping[str, Any], tracked: Mapping[str, str]) -> Made | None:
    """A product as trackers keep it; None if they do not.

    Args:
        folder: Where it lies.
        record: ``product.json`` there.
        tracked: Names of the run's stages by the keys of their products, of those that trackers keep.
    """
    kind = kind_of(record)
    if kind is None:
        return None
    description, stage, key = record['description'], record['stage'], record['key']
    sources = [
        source.partition('/')[0] for _, source in [*description['bind'], *description['inputs']]
    ]
    metadata = {
        'stage': stage,
        'key': key,
        'seed': description.get('seed'),
        'made_from': [artifact_name(tracked[k], k) for k in dict.fromkeys(sources) if k in tracked],
        'commit': record.get('made', {}).get('commit'),
        **record['notes'],
    }
    items = ['checkpoint'] if kind == 'checkpoint' else _mask_folders(record)
    paths = tuple(folder / record['items'][item] for item in items)
    return Made(stage, artifact_name(stage, key), kind, paths, metadata)


def _mask_folders(record: Mapping[str, Any]) -> list[str]:
    """Items that are folders of masks: no examples, no arrays of an extra (``<map>.<extra>``)."""
    return [name for name in record['items'] if name != 'examples' and '.' not in name]
