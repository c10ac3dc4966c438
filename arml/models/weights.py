"""Pretrained weights: where they are looked for, how they are read, what is said without them.

Nothing in a weight file is executed: ``torch.load(weights_only=True)`` or safetensors only.
"""

import copy
import hashlib
import logging
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.model import PretrainedInit, update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from arml.atomic import replacing
from arml.engine.checkpoint import load, state_dict_of
from arml.errors import CheckpointError

#: Seconds without an answer after which a host counts as out of reach.
TIMEOUT = 10

FROM_SCRATCH = (
    '--cfg-options start=scratch (in a config without this setting init_cfg=None of the network; of '
    'ResNet38d also frozen_stages=0, norm_eval=False and norm_cfg.requires_grad=True)'
)


def weights_error(
    source: str, reason: str, place: str, scratch: str, note: str = ''
) -> CheckpointError:
    """The one message for pretrained weights that cannot be had.

    Args:
        source: File, URL or hub id.
        reason: What was found.
        place: Where to put the file.
        scratch: The option that trains from scratch instead.
        note: Whatever else there is to know, as a sentence.
    """
    return CheckpointError(
        f'pretrained weights {source}: {reason}. '
        f'Put the file at {place} (docs/installation.md says where each comes from). '
        f'To train without it, from scratch: {scratch}.' + (f' {note}' if note else '')
    )


def hub_folder() -> Path:
    """The folder in which torch, mmengine and arml keep downloaded weight files."""
    return Path(torch.hub.get_dir()) / 'checkpoints'


def model_zoo_url(name: str) -> str:
    """Resolve ``torchvision://``, ``open-mmlab://`` and ``mmcls://`` names to their URL.

    Raises:
        CheckpointError: If the model zoo has no such name.
    """
    from mmengine.runner import checkpoint as zoo

    scheme, _, model = name.partition('://')
    if scheme in ('torchvision', 'modelzoo'):
        urls = zoo.get_torchvision_models()
    elif scheme == 'mmcls':
        urls = zoo.get_mmcls_models()
    else:
        urls = zoo.get_external_models()
        model = zoo.get_deprecated_model_names().get(model, model)
    if model not in urls:
        raise CheckpointError(
            f'pretrained weights {name}: the model zoo {scheme}:// has no {model!r}. '
            'Expected the name of one of its models, a URL, or the path of a file.'
        )
    return urls[model]


def download(url: str, scratch: str = FROM_SCRATCH) -> Path:
    """Fetch a weight file once and keep it under its own name in :func:`hub_folder`.

    A name that ends in ``-<8 or more hex digits>`` carries the start of its SHA-256, which is
    checked.

    Args:
        url: ``http://`` or ``https://`` address.
        scratch: The option that trains from scratch, for the error message.

    Returns:
        The local file.

    Raises:
        CheckpointError: If the host cannot be reached or the content is not what the name says.
    """
    name = Path(urlparse(url).path).name
    path = hub_folder() / name
    if path.is_file():
        return path
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, replacing(path) as temporary:
            with temporary.open('wb') as file:
                while block := answer.read(1 << 20):
                    digest.update(block)
                    file.write(block)
            promised = re.search(r'-([a-f0-9]{8,})\.', name)
            if promised and not digest.hexdigest().startswith(promised.group(1)):
                raise weights_error(
                    url,
                    f'the download has SHA-256 {digest.hexdigest()[:16]}..., expected '
                    f'{promised.group(1)}...',
                    str(path),
                    scratch,
                )
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, 'reason', None) or error
        raise weights_error(url, f'cannot be downloaded ({reason})', str(path), scratch) from error
    return path


def locate(source: str | os.PathLike, scratch: str = FROM_SCRATCH) -> Path:
    """Find a weight file: a path as it is, a URL or a model zoo name by downloading it once.

    Raises:
        CheckpointError: If it cannot be had; names the file, its place and ``scratch``.
    """
    text = str(source)
    if '://' in text:
        return download(text if text.startswith('http') else model_zoo_url(text), scratch)
    path = Path(text).expanduser()
    if not path.is_file():
        raise weights_error(text, 'no such file', str(path.absolute()), scratch)
    return path


def read_weights(
    source: str | os.PathLike, prefix: str | None = None, scratch: str = FROM_SCRATCH
) -> dict[str, Tensor]:
    """Read the tensors of a weight file, without executing anything in it.

    Args:
        source: Path (``.pth`` or ``.safetensors``), URL or model zoo name.
        prefix: Take only tensors below this name, for example ``backbone``, and strip it.
        scratch: The option that trains from scratch, for the error message.

    Returns:
        Tensors by name; the contents of ``state_dict`` or ``model`` where the file has one.

    Raises:
        CheckpointError: If the file cannot be had or read, or has no tensor below ``prefix``.
    """
    content = load(locate(source, scratch))
    if isinstance(content.get('model'), dict):
        content = content['model']
    state = {key: value for key, value in state_dict_of(content).items() if torch.is_tensor(value)}
    if prefix:
        stem = prefix.rstrip('.') + '.'
        state = {k.removeprefix(stem): v for k, v in state.items() if k.startswith(stem)}
    if not state:
        below = f' below {prefix!r}' if prefix else ''
        raise CheckpointError(
            f'pretrained weights {source}: found no tensor{below}; expected a state dict.'
        )
    return state


def fill(module: nn.Module, state: dict[str, Tensor], source: str | os.PathLike) -> list[str]:
    """Copy weights into a module; every tensor of the module must be found, others may be left.

    Args:
        module: The network.
        state: Tensors by name.
        source: Where they come from, for the error message.

    Returns:
        Names in ``state`` that the module has no use for, for example those of a classifier.

    Raises:
        CheckpointError: If tensors are missing or of another shape; lists them.
    """
    own = module.state_dict()
    check_fit(module, state, source)
    module.load_state_dict({name: state[name] for name in own if name in state}, strict=False)
    return [name for name in state if name not in own]


def check_fit(module: nn.Module, state: dict[str, Tensor], source: str | os.PathLike) -> None:
    """Refuse weights that do not fill a module, which may have no memory of its own yet.

    Raises:
        CheckpointError: If tensors are missing or of another shape; lists them.
    """
    own = module.state_dict()
    counters = {name for name in own if name.endswith('num_batches_tracked')}
    missing = [name for name in own if name not in state and name not in counters]
    shapes = [
        f'{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}'
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if missing or shapes:
        parts = [
            f'{len(names)} tensors {word}: {", ".join(names[:4])}{" ..." if len(names) > 4 else ""}'
            for names, word in ((missing, 'missing'), (shapes, 'of another shape'))
            if names
        ]
        raise CheckpointError(
            f'pretrained weights {source} do not fit {type(module).__name__}: {"; ".join(parts)}. '
            f'The file starts with {", ".join(list(state)[:3])}. Expected weights of this '
            'architecture; of a larger model give init_cfg.prefix, for example backbone.'
        )


def check_initial(model: nn.Module) -> None:
    """Read the initial weights that the parts of a model ask for, each once, and compare shapes.

    Args:
        model: May lie on the meta device. Weights that a stage before makes are not named yet.

    Raises:
        CheckpointError: If they cannot be had or read, or do not fit.
    """
    seen: set[tuple] = set()
    for module in model.modules():
        settings = getattr(module, 'init_cfg', None) or []
        for one in settings if isinstance(settings, list | tuple) else [settings]:
            source = one.get('checkpoint')
            key = (type(module), source, one.get('prefix'))
            if one.get('type') == 'Pretrained' and source and key not in seen:
                seen.add(key)
                check_fit(module, read_weights(source, one.get('prefix')), source)
        own = (type(module), getattr(module, 'model_name', None), getattr(module, 'checkpoint', 0))
        if not settings and getattr(module, 'pretrained', False) is True and own not in seen:
            seen.add(own)  # a timm backbone has a way of its own, which fits names and shapes
            logging.disable(logging.INFO)  # mmengine lists every parameter
            try:
                copy.deepcopy(module).to_empty(device='cpu').init_weights()
            finally:
                logging.disable(logging.NOTSET)


@WEIGHT_INITIALIZERS.register_module(name='Pretrained', force=True)
class SafePretrainedInit(PretrainedInit):
    """``init_cfg=dict(type='Pretrained', checkpoint=...)`` for every network, ours and mmseg's.

    Takes the place of mmengine's initialiser, which may execute what is in the file and goes on
    in silence where nothing of it fits.

    Args:
        checkpoint: Path, URL or model zoo name.
        prefix: As in :func:`read_weights`.
        map_location: Kept for mmengine's configs; weights are read on the CPU and copied.
    """

    def __call__(self, module: nn.Module) -> None:
        """Fill ``module`` with the weights.

        Raises:
            CheckpointError: If they cannot be had or do not fit, or none are named.
        """
        if not self.checkpoint:
            raise CheckpointError(
                f'{type(module).__name__}: init_cfg.checkpoint: found {self.checkpoint!r}, expected a '
                'file, a URL or a name of the model zoo. Give one, let the pipeline bind it to the '
                f'product of a stage, or start from scratch: {FROM_SCRATCH}.'
            )
        fill(module, read_weights(self.checkpoint, self.prefix), self.checkpoint)
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'Pretrained: {self.checkpoint}')


def _load_for_mmengine(filename: str, map_location: Any = None, **_: Any) -> dict[str, Any]:
    return load(locate(filename), map_location=map_location)


# Every other path of mmengine that reads a checkpoint; its own loaders may execute what is in it.
CheckpointLoader.register_scheme(
    (
        *('', 'http://', 'https://', 'open-mmlab://', 'openmmlab://', 'mmcls://'),
        *('torchvision://', 'modelzoo://', 'pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'),
    ),
    loader=_load_for_mmengine,
    force=True,
)
