"""Checkpoints: written whole or not at all, read without executing anything in them."""

import copy
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from arml.atomic import replacing
from arml.errors import CheckpointError
from arml.registry import MODELS


def load(path: str | os.PathLike, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint with torch's restricted unpickler; nothing in the file is executed.

    mmengine's own loader falls back to unrestricted unpickling when the restricted one refuses,
    and allows ``getattr`` in it; neither is done here.

    Args:
        path: A ``.pth`` file written by :func:`save` or by torch, or a ``.safetensors`` file.
        map_location: As in ``torch.load``.

    Returns:
        The stored dictionary; of a safetensors file ``{'state_dict': ...}``.

    Raises:
        CheckpointError: If the file is missing, is no checkpoint, is cut off, or holds objects
            other than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f'checkpoint {path}: no such file. Give the path of a .pth file, for example '
            'segmentor/checkpoint.pth in the work dir of a finished run.'
        )
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file

            return {'state_dict': load_file(path)}
        content = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r'(?:GLOBAL|class) ([\w.]+)', str(error))
        reason = found.group(1) if found else str(error).split('\n')[0].strip()
        raise CheckpointError(
            f'checkpoint {path}: refused, because it holds something other than tensors and plain '
            f'values ({reason}). Objects in a checkpoint can run code when they are read, so they are '
            'never loaded. If you trust the file, load it yourself, keep its state_dict only and save that.'
        ) from error
    except Exception as error:  # torch raises many types for a file that is cut off
        reason = str(error).split('\n')[0].strip() or type(error).__name__
        raise CheckpointError(
            f'checkpoint {path}: cannot be read ({reason}). It is no checkpoint, or it is cut off; '
            f'it has {path.stat().st_size} bytes. Copy it again, or train again.'
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'checkpoint {path}: expected a dictionary, found {type(content).__name__}.'
        )
    return content


def save(content: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write a checkpoint atomically.

    Args:
        content: Tensors and plain values (numbers, strings, lists, dictionaries) only, so that
            :func:`load` can read it back.
        path: File to write.

    Raises:
        ArmlError: If it cannot be written, for example because the disk is full.
    """
    with replacing(path) as temporary:
        try:
            torch.save(dict(content), temporary)
        except RuntimeError as error:
            # torch's zip writer reports a disk that is full as a RuntimeError of its own.
            signs = ('PytorchStreamWriter', 'file write failed', 'inline_container')
            if any(sign in str(error) for sign in signs):
                raise OSError(28, os.strerror(28)) from error
            raise


def state_dict_of(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The parameters in a checkpoint, without the ``module.`` prefix of a distributed wrapper."""
    state = content.get('state_dict', content)
    if not isinstance(state, Mapping):
        return {}
    return {key.removeprefix('module.'): value for key, value in state.items()}


def load_into(model: nn.Module, content: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Load a checkpoint into a model, every tensor of it or none.

    Raises:
        CheckpointError: If the checkpoint is of another architecture; lists what is missing, what
            is surplus and what has another shape.
    """
    state = state_dict_of(content)
    own = model.state_dict()
    missing = [key for key in own if key not in state]
    surplus = [key for key in state if key not in own]
    shapes = [
        f'{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}'
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if missing or surplus or shapes:
        faults = [
            f'{len(keys)} {word}: {", ".join(keys[:4])}{" ..." if len(keys) > 4 else ""}'
            for word, keys in (
                ('missing', missing),
                ('surplus', surplus),
                ('of another shape', shapes),
            )
            if keys
        ]
        raise CheckpointError(
            f'checkpoint {path} is of another architecture than the model of the config '
            f'({type(model).__name__}): tensors {"; ".join(faults)}. Use the config it was trained with '
            '(it lies in the checkpoint under meta, and as config.py in the work dir).'
        )
    model.load_state_dict(state)


def trained_model(
    settings: Mapping[str, Any], content: Mapping[str, Any], path: str | os.PathLike
) -> nn.Module:
    """Build a model and give it a checkpoint's parameters; in evaluation mode.

    Args:
        settings: Config of the model, of the registry MODELS.
        content: The checkpoint, as :func:`load` reads it.
        path: Where it is from, for the message.

    Raises:
        CheckpointError: As of :func:`load_into`.
    """
    model = MODELS.build(copy.deepcopy(dict(settings)))
    load_into(model, content, path)
    model.eval()  # not chained: mmseg's ResNet returns None
    return model


def pack_history(scalars: Mapping[str, HistoryBuffer]) -> dict[str, dict[str, Any]]:
    """Mmengine's logged scalars as plain values; its own class could not be read back safely."""
    packed = {}
    for key, buffer in scalars.items():
        history, counts = buffer.data
        packed[key] = {
            'history': torch.as_tensor(np.asarray(history, dtype=np.float64)),
            'counts': torch.as_tensor(np.asarray(counts, dtype=np.int64)),
            'max_length': buffer.max_length,
        }
    return packed


def unpack_history(packed: Mapping[str, Mapping[str, Any]]) -> dict[str, HistoryBuffer]:
    """The inverse of :func:`pack_history`."""
    return {
        key: HistoryBuffer(
            item['history'].cpu().numpy().tolist(),
            item['counts'].cpu().numpy().tolist(),
            item['max_length'],
        )
        for key, item in packed.items()
    }
