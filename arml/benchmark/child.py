"""Imported by the process that measuring children are forked from, before any thread runs there.

The libraries' greetings go nowhere: a child's output is not the tool's.
"""

import contextlib
import io
import warnings

with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter('ignore')
    import mmseg.models  # noqa: F401
    from mmseg.utils import register_all_modules

    import arml.benchmark.losses
    import arml.benchmark.memory
    import arml.benchmark.stage1_step
    import arml.benchmark.train_step

    register_all_modules(init_default_scope=True)

__all__ = ['arml']
