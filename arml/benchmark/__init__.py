"""Speed and memory against honest straightforward implementations (``reference``), within one run."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arml.benchmark.harness import Harness, Report

#: What can be measured, a module of that name each.
BENCHMARKS = ('losses', 'pseudo_masks', 'train_step', 'stage1_step', 'dataloader', 'sweep', 'cost')


def run_benchmark(name: str, harness: 'Harness', options: dict[str, Any]) -> 'Report':
    """Run one benchmark.

    Args:
        name: Of ``BENCHMARKS``.
        harness: How it is measured.
        options: Of the module's ``run``; ``channels_last``, ``compile`` and ``amp`` together are its
            ``variant``.
    """
    from arml.benchmark.networks import Variant

    options = dict(options)
    if 'compile' in options:
        ways = ('channels_last', 'compile', 'amp')
        options['variant'] = Variant(**{way: options.pop(way) for way in ways})
    return importlib.import_module(f'arml.benchmark.{name}').run(harness, **options)
