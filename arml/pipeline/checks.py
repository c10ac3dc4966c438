"""What a training is refused for before any stage runs, rather than after hours of the one before."""

import contextlib
import copy
import difflib
import inspect
import warnings
from collections.abc import Iterator
from numbers import Real
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmengine.registry import LOOPS, OPTIMIZERS, PARAM_SCHEDULERS
from mmengine.runner import EpochBasedTrainLoop
from torch import nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm
from torch.overrides import TorchFunctionMode

from arml.config.overrides import find_class
from arml.config.spelling import check_arguments
from arml.config.tree import nodes
from arml.errors import ArmlError, ConfigError
from arml.evaluation.confusion import protocol_metrics
from arml.registry import METRICS, MODELS

#: Plain types that a constructor's annotation may ask for, and what is taken for them.
PLAIN = {'float': Real, 'int': int, 'bool': bool, 'str': str}


class _NumbersOnCPU(TorchFunctionMode):
    """Keeps ``linspace`` on the CPU: SegFormer reads its drop rates back from one."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs['device'] = 'cpu'
        return func(*args, **kwargs)


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what a part raises for wrong settings into a ConfigError that names them."""
    try:
        yield
    except ArmlError:
        raise
    except (
        TypeError, KeyError, ValueError, AttributeError, AssertionError, RuntimeError, IndexError,
        ZeroDivisionError, ImportError, cv2.error,
    ) as error:  # fmt: skip
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ConfigError(
            f'{where}: cannot be used as it is set: {type(error).__name__}: {text}'
        ) from error


def check_types(node: Any, path: str) -> None:
    """Refuse a leaf of another type than its class's constructor says.

    Raises:
        ConfigError: Names the leaf.
    """
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            check_types(item, f'{path}.{index}')
    if not isinstance(node, dict):
        return
    kind = node.get('type')
    cls = find_class(kind) if isinstance(kind, str) else None
    parameters = inspect.signature(cls).parameters if cls is not None else {}
    for key, value in node.items():
        check_types(value, f'{path}.{key}')
        annotation = parameters[key].annotation if key in parameters else None
        name = getattr(annotation, '__name__', annotation)
        wanted = PLAIN.get(name) if isinstance(name, str) else None
        if wanted is None:
            continue
        as_number = isinstance(value, bool) and wanted is not bool
        if not isinstance(value, wanted) or as_number:
            raise ConfigError(f'{path}.{key}: found {value!r}, expected {name} ({kind}).')


def build_on_meta(model: dict[str, Any], path: str) -> nn.Module:
    """The model without memory for its weights.

    Raises:
        ConfigError: If it cannot be built.
    """
    check_types(model, path)
    _check_initial(model, path)
    with explained(path), torch.device('meta'), _NumbersOnCPU():
        built = MODELS.build(copy.deepcopy(model))
    threshold = getattr(built, 'presence_threshold', 0.25)
    if not 0 <= threshold < 1:
        raise ConfigError(f'{path}.presence_threshold: found {threshold}, expected 0 <= it < 1.')
    return built


def _check_initial(model: Any, path: str) -> None:
    """Refuse an ``init_cfg`` that is a file name: mmengine says nothing but ``AssertionError``."""
    for leaf, value in nodes(model, path):
        parts = value if isinstance(value, list | tuple) else [value]
        named = leaf.rpartition('.')[2] == 'init_cfg'
        if named and not all(isinstance(part, dict | None) for part in parts):
            raise ConfigError(
                f'{leaf}: found {value!r}, expected None, from scratch, or '
                "dict(type='Pretrained', checkpoint=PATH)."
            )


def check_outputs(model: nn.Module, metainfo: dict[str, Any], path: str) -> None:
    """Refuse a head with another number of outputs than the data set has classes.

    Raises:
        ConfigError: Names both numbers.
    """
    found = getattr(model, 'out_channels', None) or getattr(model, 'num_classes', None)
    classes = len(metainfo['classes'])
    expected = [classes]
    if hasattr(model, 'out_channels') and metainfo.get('background_index') is not None:
        expected.append(classes + 1)
    if found is not None and found not in expected:
        raise ConfigError(
            f'{path}: the head has {found} outputs, the data set {metainfo.get("dataset_name")} has '
            f'{classes} classes ({", ".join(metainfo["classes"])}). Set num_classes of the head to '
            f'{" or ".join(map(str, expected))}.'
        )


def check_loop(train_cfg: dict[str, Any], path: str) -> None:
    """Refuse another loop than one by epochs, or numbers of epochs that are none.

    Raises:
        ConfigError: Names the leaf.
    """
    kind = train_cfg.get('type', 'EpochBasedTrainLoop')
    loop = LOOPS.get(kind) if isinstance(kind, str) else None
    if loop is None or not issubclass(loop, EpochBasedTrainLoop) or 'by_epoch' in train_cfg:
        raise ConfigError(
            f'{path}: found type {kind!r}'
            + (f', by_epoch={train_cfg["by_epoch"]!r}' if 'by_epoch' in train_cfg else '')
            + ", expected type='EpochBasedTrainLoop': stages are trained, validated and resumed by epochs."
        )
    check_arguments(train_cfg, path, default='EpochBasedTrainLoop')
    for key, value in train_cfg.items():
        counted = key in ('max_epochs', 'val_begin', 'val_interval')
        if counted and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ConfigError(f'{path}.{key}: found {value!r}, expected a whole number from 1.')
    if 'max_epochs' not in train_cfg:
        raise ConfigError(f'{path}.max_epochs is missing.')


def check_optimisation(
    model: nn.Module, wrapper: dict[str, Any], schedules: Any, steps: int, prefix: str
) -> None:
    """Build optimiser and schedules over parameters that have no memory.

    Raises:
        ConfigError: If one of them cannot be built.
    """
    if not wrapper:
        raise ConfigError(f'{prefix}optim_wrapper is missing.')
    check_types(wrapper, f'{prefix}optim_wrapper')
    for leaf, part in _optimisers(wrapper, f'{prefix}optim_wrapper'):
        kind = part.get('type')
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            near = difflib.get_close_matches(kind, list(OPTIMIZERS.module_dict), n=2)
            raise ConfigError(
                f'{leaf}.type: found {kind!r}, which is no optimiser of torch or mmengine.'
                + (f' Did you mean {" or ".join(near)}?' if near else '')
            )
    with explained(f'{prefix}optim_wrapper'):
        built = build_optim_wrapper(model, copy.deepcopy(wrapper))
    by_name = isinstance(schedules, dict) and 'type' not in schedules
    groups = schedules if by_name else {None: schedules}
    for name, group in groups.items():
        optimiser = built[name] if by_name and isinstance(built, OptimWrapperDict) else built
        for index, cfg in enumerate([group] if isinstance(group, dict) else group or []):
            path = f'{prefix}param_scheduler' + (f'.{name}' if by_name else '') + f'.{index}'
            for one in (
                optimiser.values() if isinstance(optimiser, OptimWrapperDict) else [optimiser]
            ):
                _check_schedule(copy.deepcopy(dict(cfg)), one, steps, path)


def _optimisers(wrapper: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Settings of the optimiser, or of each of several, with their paths."""
    for key, value in wrapper.items():
        if isinstance(value, dict) and key == 'optimizer':
            yield f'{path}.optimizer', value
        elif isinstance(value, dict) and isinstance(value.get('optimizer'), dict):
            yield f'{path}.{key}.optimizer', value['optimizer']


def _check_schedule(cfg: dict[str, Any], optimiser: Any, steps: int, path: str) -> None:
    cls = PARAM_SCHEDULERS.get(cfg.get('type') or '')
    if cls is None:
        raise ConfigError(
            f'{path}.type: found {cfg.get("type")!r}, which is no schedule of mmengine.'
        )
    with explained(path), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimiser has made no step yet
        if cfg.pop('convert_to_iter_based', False):
            cfg.pop('type')
            built = cls.build_iter_from_epoch(**cfg, optimizer=optimiser, epoch_length=steps)
        else:
            built = PARAM_SCHEDULERS.build(cfg, default_args={'optimizer': optimiser})
        if cfg.get('monitor') is None:  # one that waits for a metric has nothing to go by yet
            built.step()  # its numbers are first read here


def check_evaluator(evaluator: Any, path: str) -> list[Any]:
    """Build the metrics of an evaluator.

    Raises:
        ConfigError: If one cannot be built.
    """
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    metrics = [evaluator] if isinstance(evaluator, dict) else list(evaluator or [])
    check_types(metrics, path)
    with explained(path):
        return [METRICS.build(copy.deepcopy(dict(metric))) for metric in metrics]


def check_choice(
    chooser: dict[str, Any] | None, metrics: list[Any], metainfo: dict[str, Any], validates: bool
) -> None:
    """Refuse to choose by a metric that is not reported.

    Raises:
        ConfigError: Names the metric and those that there are.
    """
    chosen = (chooser or {}).get('save_best')
    if chosen is None:
        return
    leaf = 'default_hooks.checkpoint.save_best'
    if not validates:
        raise ConfigError(f'{leaf}: found {chosen!r}, but nothing validates. Set it to None.')
    names = [_reported(metric, metainfo) for metric in metrics]
    if any(found is None for found in names):
        return  # a metric of another project says its names only once it is computed
    known = sorted(set().union(*names))
    if chosen not in known:
        raise ConfigError(
            f'{leaf}: the validation reports no {chosen!r}. It reports: {", ".join(known)}.'
        )


def _reported(metric: Any, metainfo: dict[str, Any]) -> set[str] | None:
    from arml.evaluation import ImageLabelMetric, TissueMetric

    classes = metainfo['classes']
    if getattr(metric, 'prefix', None):
        return None
    if type(metric) is ImageLabelMetric:
        own = {'label_accuracy', 'mAP'}
        return own | {f'{n}.{c}' for n in ('label_accuracy', 'AP') for c in classes}
    if type(metric) is not TissueMetric:
        return None
    background = metainfo.get('background_index') is not None
    matrix = np.eye(len(classes) + background, dtype=np.int64)
    protocols = [p for p in metric.protocols if p == 'A' or background]
    return {name for p in protocols for name in protocol_metrics(matrix, classes, p)}


def check_batches(
    model: nn.Module, loader: dict[str, Any], tiles: int, processes: int, path: str
) -> int:
    """Refuse a batch size that leaves no step, or a batch of one tile to a batch norm.

    Returns:
        Steps of an epoch.

    Raises:
        ConfigError: Says which batch size would do.
    """
    size = loader.get('batch_size', 1)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ConfigError(f'{path}.batch_size: found {size!r}, expected a whole number from 1.')
    drops = loader.get('drop_last', False)
    own = -(-tiles // processes)  # the sampler fills up, so that all processes have as many
    if drops and own < size:
        raise ConfigError(
            f'{path}.batch_size: found {size} on {processes} processes, and {tiles} tiles to train '
            f'on; the last incomplete batch is dropped, so there would be no step. Set it to at '
            f'most {own}.'
        )
    alone = size == 1 or (not drops and own % size == 1)
    if alone and _normalises_batches(model, processes):
        raise ConfigError(
            f'{path}.batch_size: found {size} for {own} tiles of a process, drop_last={drops}: a batch '
            'would hold a single tile, and the model has batch norm, which needs two. Set batch_size '
            'to 2 or more, and drop_last=True if the last batch holds one tile.'
        )
    return max(own // size if drops else -(-own // size), 1)


def _normalises_batches(model: nn.Module, processes: int) -> bool:
    model.train()  # a backbone with norm_eval keeps its own in evaluation
    return any(
        isinstance(module, _BatchNorm)
        and module.training
        and not (isinstance(module, SyncBatchNorm) and processes > 1)
        for module in model.modules()
    )
