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


def _child(parent: Registry, folder: str) -> Registry:
    """Our child of a root registry of mmengine: filled by ``folder``, and by what one method brings."""
    return Registry(parent.name, parent=parent, scope='arml', locations=[folder, 'arml.methods'])


MODELS = _child(MMENGINE_MODELS, 'arml.models')
DATASETS = _child(MMENGINE_DATASETS, 'arml.datasets')
TRANSFORMS = _child(MMENGINE_TRANSFORMS, 'arml.datasets.transforms')
METRICS = _child(MMENGINE_METRICS, 'arml.evaluation')
HOOKS = _child(MMENGINE_HOOKS, 'arml.engine')
RUNNERS = _child(MMENGINE_RUNNERS, 'arml.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS, 'arml.engine')
LOG_PROCESSORS = _child(MMENGINE_LOG_PROCESSORS, 'arml.engine')
VISBACKENDS = _child(MMENGINE_VISBACKENDS, 'arml.tracking')


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
