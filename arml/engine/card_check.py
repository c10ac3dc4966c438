"""Whether a checkpoint fits the config it is used with: what its card says, against what the config says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arml.errors import CheckpointError


def card_in(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a loaded checkpoint says about itself; empty if it was not made here."""
    meta = content.get('meta')
    card = meta.get('arml') if isinstance(meta, dict) else None
    return card if isinstance(card, dict) else {}


def check_card(
    card: Mapping[str, Any],
    classes: Sequence[str],
    preprocessor: Mapping[str, Any] | None,
    path: str | Path,
) -> None:
    """Refuse a checkpoint of other classes, or one trained on tiles that were normalised otherwise.

    Its parameters may fit in shape all the same, and every number would be wrong in silence.

    Args:
        card: The checkpoint's ``meta['arml']``. What it does not say is not compared.
        classes: The classes of the config's data set, in order.
        preprocessor: ``data_preprocessor`` of the config's model.
        path: The checkpoint, for the message.

    Raises:
        CheckpointError: Names what differs, in the checkpoint and in the config.
    """
    given = preprocessor or {}
    config = {
        'classes': list(classes),
        'data_preprocessor.normalise': given.get('normalise', 'dataset'),
        'data_preprocessor.bgr_to_rgb': bool(given.get('bgr_to_rgb', False)),
    }
    if config['data_preprocessor.normalise'] == 'dataset':  # else they are not read
        config['data_preprocessor.mean'] = _floats(given.get('mean'))
        config['data_preprocessor.std'] = _floats(given.get('std'))
    for name, wanted in config.items():
        found = card.get(name.split('.')[-1])
        if isinstance(found, list | tuple):
            found = list(found) if name == 'classes' else _floats(found)
        if found is not None and found != wanted:
            raise CheckpointError(
                f'checkpoint {path}: its {name} is {found!r}, that of the config {wanted!r}. Give the '
                'config that it was trained with, or another checkpoint.'
            )


def _floats(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
