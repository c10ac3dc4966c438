"""Registries of arml, children of mmengine's; types are written ``arml.X`` in configs."""

from typing import Any

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOG_PROCESSORS as MMENGINE_LOG_PROCESSORS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import Registry

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='arml', locations=['arml.models', 'arml.methods']
)
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='arml', locations=['arml.datasets', 'arml.methods']
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='arml',
    locations=['arml.datasets.transforms', 'arml.methods'],
)
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='arml', locations=['arml.evaluation', 'arml.methods']
)
HOOKS = Registry(
    'hook', parent=MMENGINE_HOOKS, scope='arml', locations=['arml.engine', 'arml.methods']
)
RUNNERS = Registry(
    'runner', parent=MMENGINE_RUNNERS, scope='arml', locations=['arml.engine', 'arml.methods']
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='arml',
    locations=['arml.engine', 'arml.methods'],
)
LOG_PROCESSORS = Registry(
    'log processor',
    parent=MMENGINE_LOG_PROCESSORS,
    scope='arml',
    locations=['arml.engine', 'arml.methods'],
)
VISBACKENDS = Registry(
    'visualizer backend',
    parent=MMENGINE_VISBACKENDS,
    scope='arml',
    locations=['arml.engine', 'arml.methods'],
)


class OwnRegistry(Registry):
    """A registry that OpenMMLab has no root for; what it builds is looked for in arml alone."""

    def build(self, cfg: dict, *args: Any, **kwargs: Any) -> Any:
        """Build from a config whose ``type`` is written ``arml.X``."""
        return super().build({'_scope_': 'arml', **cfg}, *args, **kwargs)


#: How class activation maps are computed from a classifier (``arml.pseudo``).
MAPS = OwnRegistry('activation maps', scope='arml', locations=['arml.pseudo', 'arml.methods'])
#: How maps become masks, weights or scores per tile.
MASK_RULES = OwnRegistry('mask rule', scope='arml', locations=['arml.pseudo', 'arml.methods'])
#: Steps of a pipeline with declared inputs and keyed products.
STAGES = OwnRegistry('stage', scope='arml', locations=['arml.pipeline', 'arml.methods'])
