"""The one test of a trained model."""

import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from arml.atomic import write_json
from arml.config.sections import section_of, set_leaf
from arml.config.spelling import check_arguments
from arml.pipeline.checks import check_evaluator
from arml.pipeline.data import loader_fingerprints, metainfo_of
from arml.pipeline.loading_checks import check_hooks, check_loader
from arml.pipeline.logs import tidy_logs
from arml.pipeline.stage import ROW, Context, Outcome, Stage
from arml.pipeline.testing import (
    build_runner,
    keep_examples,
    runner_settings,
    without_pretrained,
)
from arml.registry import STAGES


@STAGES.register_module()
class TestStage(Stage):
    """Test a checkpoint once with the section's ``test_dataloader`` and ``test_evaluator``.

    Args:
        examples: Number of tiles, spread evenly over the split, whose prediction is kept for the picture.
        **kwargs: As of :class:`~arml.pipeline.stage.Stage`; ``inputs['checkpoint']`` is the model.
    """

    __test__ = False  # pytest: not a test

    def __init__(self, *args: Any, examples: int = 6, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def settings(self) -> dict[str, Any]:
        """Model, test data and metric."""
        settings = runner_settings(self.config, self.section)
        self._check_names(settings)  # no key is made of what nothing reads
        kept = {k: settings[k] for k in ('model', 'test_dataloader', 'test_evaluator', 'test_cfg')}
        kept['model'] = without_pretrained(
            kept['model']
        )  # the checkpoint's weights take their place
        kept['test_dataloader'].pop('batch_size', None)
        return {**kept, 'examples': self.examples}

    def fingerprints(self) -> dict[str, str]:
        """Of the test split."""
        settings = runner_settings(self.config, self.section)
        for leaf in self.bind:
            set_leaf(settings, leaf, None)
        return loader_fingerprints(settings, ('test_dataloader',), self.fingerprint_cache)

    def items(self) -> list[str]:
        """The metrics, and a few predictions."""
        return ['metrics', 'examples']

    def check(self, continued: bool) -> None:
        """The metrics and the data set can be built, and every key is read by something.

        Raises:
            ConfigError: If not, or if the section has no test data.
        """
        settings = runner_settings(self.config, self.section)
        self._check_names(settings)
        check_evaluator(settings['test_evaluator'], f'{self.prefix}test_evaluator')

    def _check_names(self, settings: dict[str, Any]) -> None:
        """Refuse keys of the loader, the loop and the hooks that nothing reads."""
        check_loader(settings['test_dataloader'], f'{self.prefix}test_dataloader')
        check_arguments(settings['test_cfg'], f'{self.prefix}test_cfg', default='TestLoop')
        own = section_of(self.config, self.section).get('default_hooks') or {}
        check_hooks(settings, own, self.prefix)

    def tidy(self, folder: Path) -> None:
        """Keep the newest log, as ``log/``."""
        tidy_logs(folder)

    def run(self, context: Context) -> Outcome:
        """Test, and keep a few predictions."""
        start = time.time()
        settings = self.bound(runner_settings(self.config, self.section), context.inputs)
        info = metainfo_of(settings['test_dataloader']['dataset'])
        checkpoint = self.input_path(self.inputs['checkpoint'], context.inputs)
        name = f'{context.run_name}-{self.name}'
        runner = build_runner(settings, checkpoint, context.folder, name, context.launcher)
        metrics = {key: float(value) for key, value in runner.test().items()}
        if is_main_process():
            write_json(context.folder / 'metrics.json', metrics)
        keep_examples(runner, info, self.examples, context.folder / 'examples')
        rows = [{'name': ROW, 'split': 'test', 'metrics': metrics}]
        return Outcome(
            items={'metrics': 'metrics.json', 'examples': 'examples'},
            rows=rows,
            notes={'seconds': round(time.time() - start, 1)},
        )
