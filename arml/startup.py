"""Start of a tool: every module of arml and mmseg registered, without the libraries' chatter."""

import contextlib
import io
import logging
import warnings


def start() -> None:
    """Import mmseg and arml, so that configs can name their types; set ``mmseg`` as default scope.

    mmcv and mmengine greet on import with notes on optional parts that nothing here uses (compiled
    operators, an uploader). They are held back; anything else they print stays.
    """
    chatter = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(chatter):
        warnings.filterwarnings(
            'ignore', message='Fail to import ``MultiScaleDeformableAttention``'
        )
        from mmseg.utils import register_all_modules

        import arml.datasets
        import arml.engine
        import arml.evaluation
        import arml.models
        import arml.pseudo  # noqa: F401

        register_all_modules(init_default_scope=True)
    rest = [
        line for line in chatter.getvalue().splitlines() if 'Could not import OneDL' not in line
    ]
    if rest:
        print('\n'.join(rest))
    # The heads' own loss is never used: the segmentors bring theirs.
    warnings.filterwarnings('ignore', message='Default ``avg_non_ignore`` is False')
    for name in ('filelock', 'PIL', 'matplotlib', 'timm'):
        logging.getLogger(name).setLevel(logging.WARNING)
