"""Start of a tool: every module of arml and mmseg registered, without the libraries' chatter."""

import contextlib
import gc
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what mmcv, mmengine and mmseg greet with when they are imported inside.

    These are notes on optional parts that nothing here uses (compiled operators, an uploader).
    Anything else that is printed is printed at the end.
    """
    chatter = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(chatter):
        warnings.filterwarnings(
            'ignore', message='Fail to import ``MultiScaleDeformableAttention``'
        )
        yield
    rest = [
        line for line in chatter.getvalue().splitlines() if 'Could not import OneDL' not in line
    ]
    if rest:
        print('\n'.join(rest))


def start() -> None:
    """Import mmseg and arml, so that configs can name their types; set ``mmseg`` as default scope.

    What is imported stays to the end, so garbage collection need not look at it any more: mmengine collects
    for every data set that it loads, which took a third of a second each.
    """
    with without_chatter():
        from mmseg.utils import register_all_modules

        import arml.datasets
        import arml.engine
        import arml.evaluation
        import arml.models
        import arml.pseudo  # noqa: F401

        register_all_modules(init_default_scope=True)
    # The heads' own loss is never used: the segmentors bring theirs.
    warnings.filterwarnings('ignore', message='Default ``avg_non_ignore`` is False')
    for name in ('filelock', 'PIL', 'matplotlib', 'timm'):
        logging.getLogger(name).setLevel(logging.WARNING)
    gc.collect()
    gc.freeze()
