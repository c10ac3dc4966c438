"""Training of one model: a classifier or a segmentor."""

import copy
import gc
import time
import uuid
import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process

from arml.config.overrides import check_path
from arml.config.sections import name_apart, runner_config, section_of, set_leaf
from arml.config.spelling import check_arguments
from arml.config.text import config_text, unformatted
from arml.device import device_of
from arml.engine import StageRunner, distributed
from arml.engine import checkpoint as checkpoints
from arml.engine.allocator import keep_freed_memory
from arml.errors import ConfigError
from arml.models.weights import check_initial, locate
from arml.pipeline import checks, loading_checks
from arml.pipeline.data import loader_fingerprints, metainfo_of
from arml.pipeline.logs import tidy_logs
from arml.pipeline.model_card import model_card
from arml.pipeline.stage import Context, Outcome, Stage
from arml.registry import DATASETS, STAGES

#: What the product of a training depends on; test settings and loggers are not among it.
DETERMINING = (
    'model', 'train_dataloader', 'val_dataloader', 'train_cfg', 'val_cfg', 'optim_wrapper',
    'param_scheduler', 'val_evaluator', 'custom_hooks', 'load_from', 'auto_scale_lr',
)  # fmt: skip
#: Hooks that look at a training and change nothing in it.
WATCHING = ('logger', 'timer', 'visualization', 'parameter_check', 'runtime_info')


@STAGES.register_module()
class TrainStage(Stage):
    """Train the model of a section; its product is the checkpoint, chosen on validation or the last."""

    tracked_as = 'checkpoint'

    def settings(self) -> dict[str, Any]:
        """The section, its hooks but for what only watches, its card, the number of processes."""
        settings = self._runner_settings()
        self._check_names(settings)  # no key is made of what nothing reads
        kept = {key: settings[key] for key in DETERMINING if settings.get(key) is not None}
        if 'val_dataloader' in kept:
            kept['val_dataloader'].pop('batch_size', None)
        hooks = settings.get('default_hooks') or {}
        kept['default_hooks'] = {
            name: {k: v for k, v in hook.items() if k != 'interval'}
            if name == 'checkpoint' and isinstance(hook, dict)
            else hook
            for name, hook in hooks.items()
            if name not in WATCHING
        }
        kept['card'] = self._card()
        kept['processes'] = _world_size()
        return kept

    def fingerprints(self) -> dict[str, str]:
        """Of the training and validation splits."""
        settings = self._runner_settings()
        for leaf in self.bind:
            set_leaf(settings, leaf, None)
        return loader_fingerprints(
            settings, ('train_dataloader', 'val_dataloader'), self.fingerprint_cache
        )

    def items(self) -> list[str]:
        """The chosen parameters, and the history."""
        return ['checkpoint', 'history']

    def check(self, continued: bool) -> None:
        """Everything a training is built from: its settings, one of its tiles, its initial weights.

        Raises:
            ConfigError: Names the leaf that is wrong.
            CheckpointError: If weights that the model asks for cannot be had, or do not fit.
            DataError: If the first tile cannot be read.
        """
        settings = self._runner_settings()
        part = section_of(self.config, self.section)
        prefix = self.prefix
        self._check_names(settings)
        for leaf in self.bind:
            check_path(settings, leaf, None, f'pipeline stage {self.name}, bind')
        loader = settings['train_dataloader']
        checks.check_loop(settings['train_cfg'], f'{prefix}train_cfg')
        metrics = checks.check_evaluator(settings.get('val_evaluator'), f'{prefix}val_evaluator')
        info = metainfo_of(loader['dataset'])
        validates = settings.get('val_dataloader') is not None
        checks.check_choice(settings['default_hooks'].get('checkpoint'), metrics, info, validates)
        model = checks.build_on_meta(settings['model'], f'{prefix}model')
        checks.check_outputs(model, info, f'{prefix}model')
        tiles = len(DATASETS.build({**loader['dataset'], 'masks': None, 'pipeline': []}))
        steps = checks.check_batches(
            model, loader, tiles, _world_size(), f'{prefix}train_dataloader'
        )
        checks.check_optimisation(
            model, settings.get('optim_wrapper'), settings.get('param_scheduler'), steps, prefix
        )
        loading_checks.check_sizes(loader, list(self.bind), part, prefix)
        if continued:
            return
        start = settings.get('load_from')
        if start:
            with warnings.catch_warnings(action='ignore'):  # a model without memory keeps nothing
                checkpoints.load_into(model, checkpoints.load(locate(start)), start)
        else:
            check_initial(model)

    def run(self, context: Context) -> Outcome:
        """Train, or go on training, and keep the chosen parameters as ``checkpoint.pth``."""
        start = time.time()
        if device_of(None).type == 'cpu':
            keep_freed_memory()
        settings = self.bound(self._runner_settings(), context.inputs)
        runner = StageRunner.from_cfg(self._config_of(settings, context))
        runner.train()
        epochs = runner.max_epochs
        del runner
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if is_main_process():
            self._keep_chosen(context.folder)
        barrier()
        return Outcome(
            items={'checkpoint': 'checkpoint.pth', 'history': 'history.jsonl'},
            notes={'epochs': epochs, 'seconds': round(time.time() - start, 1)},
        )

    def resumable(self, folder: Path) -> bool:
        """Whether a training state was saved."""
        return _latest(folder) is not None

    def tidy(self, folder: Path) -> None:
        """Remove the training states; keep the chosen ones and the newest log, as ``log/``."""
        tidy_logs(folder)
        for state in [*folder.glob('epoch_*.pth'), *folder.glob('best_epoch_*.pth')]:
            state.unlink()
        (folder / 'last_checkpoint').unlink(missing_ok=True)

    def _check_names(self, settings: dict[str, Any]) -> None:
        """Refuse keys of loaders, loops and hooks that nothing reads, and sizes that are none."""
        prefix = self.prefix
        for key in ('train_dataloader', 'train_cfg'):
            if not isinstance(settings.get(key), dict):
                raise ConfigError(f'pipeline stage {self.name}: {prefix}{key} is missing.')
        for name in ('train_dataloader', 'val_dataloader'):
            if settings.get(name) is not None:
                loading_checks.check_loader(settings[name], f'{prefix}{name}')
        if settings.get('val_cfg') is not None:
            check_arguments(settings['val_cfg'], f'{prefix}val_cfg', default='ValLoop')
        part = section_of(self.config, self.section)
        loading_checks.check_hooks(settings, part.get('default_hooks') or {}, prefix)
        for key in ('input_size', 'tile_size'):
            size = part.get(key)
            two = isinstance(size, list | tuple) and len(size) == 2
            if size is not None and not (two and all(isinstance(n, int) and n > 0 for n in size)):
                raise ConfigError(
                    f'{prefix}{key}: found {size!r}, expected (height, width) or None.'
                )

    def _card(self) -> dict[str, Any]:
        part = section_of(self.config, self.section)
        return model_card(part['model'], metainfo_of(part['train_dataloader']['dataset']), part)

    def _runner_settings(self) -> dict[str, Any]:
        settings = runner_config(self.config, self.section)
        settings.pop('test_dataloader', None)
        settings.pop('test_evaluator', None)
        settings.pop('test_cfg', None)
        return settings

    def _config_of(self, settings: dict[str, Any], context: Context) -> Config:
        settings = copy.deepcopy(settings)
        latest = _latest(context.folder) if context.resume else None
        settings['default_hooks'].setdefault('checkpoint', {'type': 'arml.StageCheckpointHook'})
        settings['default_hooks']['checkpoint']['meta'] = {
            **self._card(),
            'stage': self.name,
            'config': config_text(self.config),
            'section': self.section,
            'seed': self.config.randomness['seed'],
        }
        settings.update(
            work_dir=str(context.folder),
            experiment_name=f'{context.run_name}-{self.name}-{uuid.uuid4().hex[:8]}',
            launcher=context.launcher,
            resume=latest is not None,
            load_from=str(latest) if latest else settings.get('load_from'),
        )
        name_apart(settings)
        distributed.wrap_for_machine(settings)
        return unformatted(settings)

    @staticmethod
    def _keep_chosen(folder: Path) -> None:
        """Write ``checkpoint.pth`` from the best or, if none was chosen, the last state."""
        content = checkpoints.load(_latest(folder))
        if content['meta']['best'] is not None:
            best = content['meta']['best']['epoch']
            content = checkpoints.load(folder / f'best_epoch_{best}.pth')
        checkpoints.save(
            {'meta': content['meta'], 'state_dict': content['state_dict']},
            folder / 'checkpoint.pth',
        )


def _latest(folder: Path) -> Path | None:
    """The newest whole training state in a folder, which may have been moved since."""
    note = folder / 'last_checkpoint'
    return folder / Path(note.read_text().strip()).name if note.is_file() else None


def _world_size() -> int:
    from mmengine.dist import get_world_size

    return get_world_size()
