"""One network from the template that a config gives."""

import copy
from typing import Any

import torch
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS as MMSEG_MODELS
from torch import nn

from arml.errors import ConfigError
from arml.registry import MODELS


def build_network(config: dict[str, Any]) -> EncoderDecoder:
    """A network of its own: nothing of the config is shared between builds.

    Args:
        config: Of an mmseg ``EncoderDecoder`` without ``data_preprocessor``. Where
            ``decode_head.in_channels`` is None it is taken from the backbone's ``channels``, so that
            depth and head are chosen by one leaf each.

    Raises:
        ConfigError: If it is no such config; names the leaf.
    """
    if config.get('data_preprocessor') is not None:
        raise ConfigError(
            'model.network.data_preprocessor: found one, expected none. All networks see the same '
            'tiles; move it to model.data_preprocessor'
        )
    config = copy.deepcopy(config)
    head = config.get('decode_head')
    if isinstance(head, dict) and 'in_channels' in head and head['in_channels'] is None:
        head['in_channels'] = _channels_of(config['backbone'], head.get('in_index', -1))
    network = MMSEG_MODELS.build(config)
    if not isinstance(network, EncoderDecoder) or isinstance(network.decode_head, nn.ModuleList):
        raise ConfigError(
            f'model.network.type: found {type(network).__name__}, expected an mmseg EncoderDecoder '
            'with one decode head'
        )
    if network.out_channels < 2:
        raise ConfigError(
            f'model.network.decode_head.out_channels: found {network.out_channels}, expected one '
            'channel per class (at least 2)'
        )
    if (network.test_cfg or {}).get('mode', 'whole') != 'whole':
        raise ConfigError(
            f"model.network.test_cfg.mode: found {network.test_cfg['mode']!r}, expected 'whole'; "
            'large images are tiled by the predictor, not by the network'
        )
    return network


def _channels_of(backbone: dict[str, Any], index: int) -> int:
    """Channels of one of a backbone's maps, without memory for its weights."""
    with torch.device('meta'):
        built = MODELS.build(copy.deepcopy(backbone))
    channels = getattr(built, 'channels', None)
    if channels is None:
        raise ConfigError(
            'model.network.decode_head.in_channels: found None, but the backbone '
            f'{type(built).__name__} does not say its channels. Expected a number'
        )
    return channels[index]
