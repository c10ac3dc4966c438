"""A run in W&B: online, offline or disabled, as ``WANDB_MODE`` says."""

import contextlib
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from arml.errors import ArmlError, ConfigError
from arml.tracking import names
from arml.tracking.guard import within
from arml.tracking.note import Note
from arml.tracking.tiles import ExampleTile, example_tiles
from arml.tracking.tracker import Made, RunInfo, Tracker

#: What W&B calls the kinds of products; checkpoints of this type can be linked to its model registry.
TYPES = {'checkpoint': 'model', 'masks': 'dataset'}
#: Ways to keep products: path and checksum, the files themselves, or not at all.
ARTIFACTS = ('reference', 'upload', 'none')
#: W&B's own bound on the files of one reference is below the number of masks of a data set.
MANY = 10**7
#: The arguments of ``wandb.init`` that an environment variable of W&B sets, if it is there.
VARIABLES = {
    'project': 'WANDB_PROJECT', 'entity': 'WANDB_ENTITY', 'name': 'WANDB_NAME',
    'group': 'WANDB_RUN_GROUP', 'tags': 'WANDB_TAGS', 'dir': 'WANDB_DIR',
}  # fmt: skip
PROJECT = 'arml'
#: Seconds that W&B may take over an artifact or a table, for each of which it asks its server.
PATIENCE = 300.0
#: Seconds for the last uploads of a run that a signal ends. Whoever sent it kills what is there after ten.
HURRY = 5.0
#: Bytes free on a disk below which W&B may have lost records.
FULL = 2**16


def init_arguments(
    info: RunInfo,
    given: Mapping[str, Any],
    known: Mapping[str, Any],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """What ``wandb.init`` is called with.

    Whoever starts a run says by W&B's environment variables how it is named, grouped and tagged. The id is
    that of the environment, else the one that the work dir keeps, so that a resumed training goes on in
    its run; within a W&B sweep it is the agent's, and W&B resumes nothing there: a training that is
    tried again is a new run in the same group.

    Args:
        info: The run.
        given: ``init_kwargs`` of the config; they win.
        known: What the work dir keeps: ``id``.
        environment: Environment variables.
    """
    sweep = environment.get('WANDB_SWEEP_ID')
    arguments: dict[str, Any] = {'project': PROJECT, 'name': info.name, 'dir': str(info.folder)}
    if sweep:
        arguments['group'] = sweep
    else:
        fresh = f'{info.key}-{uuid.uuid4().hex[:6]}'
        arguments['id'] = environment.get('WANDB_RUN_ID') or known.get('id') or fresh
        arguments['resume'] = 'allow'
    for argument, variable in VARIABLES.items():
        if environment.get(variable):
            arguments.pop(argument, None)
    arguments.update(given)
    if sweep:
        arguments.pop('id', None)
        arguments.pop('resume', None)
    return arguments


@contextlib.contextmanager
def nobody_to_ask() -> Iterator[None]:
    """A while without a terminal on standard input: W&B asks there for a key that it does not find, and waits.

    It then says instead that it has found none, wherever it looks for one: variables, settings, netrc.
    """
    person = sys.stdin
    with Path(os.devnull).open(encoding='utf-8') as sys.stdin:
        try:
            yield
        finally:
            sys.stdin = person


class WandbTracker(Tracker):
    """One W&B run.

    Args:
        info: The run.
        init_kwargs: Further arguments of ``wandb.init``.
        artifacts: ``'reference'`` keeps path and checksum of each product, ``'upload'`` the files
            themselves, ``'none'`` nothing.
        define_metric_cfg: As of mmengine's backend: summaries by metric, or arguments of
            ``define_metric``.
        init_timeout: Seconds that ``wandb.init`` may take, unless ``WANDB_INIT_TIMEOUT`` says otherwise.
        finish_timeout: Seconds that the last uploads may take, unless ``WANDB_FINISH_TIMEOUT`` says otherwise;
            what is not uploaded then stays on disk for ``wandb sync``.

    Raises:
        ConfigError: If ``artifacts`` is none of these.
        ImportError: Without the package wandb.
    """

    name = 'W&B'
    advice = (
        'What was written so far lies in the wandb folder of the work dir (wandb sync); a sweep is filled '
        'into W&B again by tools/sweep.py export --to wandb. WANDB_MODE=offline needs no server.'
    )

    def __init__(
        self,
        info: RunInfo,
        init_kwargs: Mapping[str, Any] | None = None,
        artifacts: str = 'reference',
        define_metric_cfg: dict | list | None = None,
        init_timeout: float = 60.0,
        finish_timeout: float = 600.0,
    ) -> None:
        if artifacts not in ARTIFACTS:
            raise ConfigError(
                f'WandbVisBackend.artifacts: found {artifacts!r}, expected one of {", ".join(ARTIFACTS)}'
            )
        try:
            import wandb
        except ImportError as error:
            raise ImportError(
                f'the package wandb cannot be imported ({error}). Install it (pip install wandb), or use '
                'tracking=tensorboard or tracking=none'
            ) from error
        self.info, self.artifacts, self.wandb = info, artifacts, wandb
        self._last = float(os.environ.get('WANDB_FINISH_TIMEOUT') or finish_timeout)
        self.patience = min(self._last, PATIENCE)
        self._stages: set[str] = set()
        note = Note(info.folder, info.key, self.name)
        arguments = init_arguments(info, dict(init_kwargs or {}), note.read(), os.environ)
        settings = {'finish_timeout': self._last}
        if not os.environ.get('WANDB_INIT_TIMEOUT'):
            settings['init_timeout'] = init_timeout
        settings.update(arguments.pop('settings', None) or {})
        with nobody_to_ask():
            self.run = wandb.init(settings=wandb.Settings(**settings), **arguments)
        self.continues = bool(self.run.resumed)
        self.offline = bool(self.run.offline) and not self.run.disabled
        note.update(id=self.run.id, sweep=self.run.sweep_id, project=self.run.project)
        self._define(define_metric_cfg)
        self._describe()

    def log(self, point: Mapping[str, float], stage: str) -> None:
        """One point of some curves, against the iterations of its stage."""
        self._begin_stage(stage)
        self.run.log(dict(point))

    def image(self, name: str, image: Any, iteration: int, stage: str) -> None:
        """A picture at an iteration."""
        self._begin_stage(stage)
        prefix = f'{stage}/' if stage else ''
        self.run.log({f'{prefix}iter': iteration, f'{prefix}{name}': self.wandb.Image(image)})

    def product(self, made: Made, reused: bool) -> None:
        """An artifact: logged by the run that made it, used by one that found it.

        W&B cannot note a use offline; then, and always in the summary, it is written which
        products a run took.
        """
        self.run.summary[f'{"used" if reused else "made"}/{made.stage}'] = made.name
        if self.artifacts == 'none' or self.run.disabled or (reused and self.offline):
            return
        artifact = self.wandb.Artifact(
            made.name, type=TYPES[made.kind], metadata=dict(made.metadata)
        )
        for path in made.paths:
            if self.artifacts == 'reference':
                artifact.add_reference(path.absolute().as_uri(), name=path.name, max_objects=MANY)
            elif path.is_dir():
                artifact.add_dir(str(path), name=path.name)
            else:
                artifact.add_file(str(path), name=path.name)
        if reused:
            self.run.use_artifact(artifact)
        else:
            self.run.log_artifact(artifact)

    def result(self, result: Mapping[str, Any], folder: Path) -> None:
        """Scores into the summary; tables of all rows and of the classes; tiles with their masks."""
        columns, lines = names.score_table(result['rows'])
        self.run.log({'scores': self.wandb.Table(columns=columns, data=lines)})
        columns, lines = names.class_table(result['rows'], result['classes'])
        self.run.log({'per_class': self.wandb.Table(columns=columns, data=lines)})
        labels = names.class_labels(result['classes'])
        for stage, tiles in example_tiles(folder, result.get('stages') or ()).items():
            self.run.log({f'{stage}/tiles': [self._overlay(tile, labels) for tile in tiles]})
        self.run.summary.update({**names.final_scores(result), 'seconds': result.get('seconds')})

    def close(self, status: int, patience: float | None = None) -> None:
        """Finish the run, as a failed one where the status is not 0.

        Raises:
            TimeoutError: If it takes longer.
            ArmlError: If the disk of its folder is full; W&B itself loses what it cannot write in silence.
        """
        folder = None if self.run.disabled else Path(self.run.dir)
        limit = HURRY if status > 128 else self._last + 30
        try:
            within(limit if patience is None else min(limit, patience), self.run.finish, status)
        except TimeoutError:
            # Else the end of this process would wait for W&B's, which may never come.
            with contextlib.suppress(Exception, SystemExit):
                within(1, self.wandb.teardown, status)
            raise
        if folder is not None and shutil.disk_usage(folder).free < FULL:
            raise ArmlError(
                f'the disk of {folder} is full, its record of this run may lack the end'
            )

    def last(self) -> Mapping[str, Any]:
        """What the server has of a run that goes on: its summary. A killed process may not have sent its end."""
        return dict(self.run.summary)

    def _begin_stage(self, stage: str) -> None:
        if stage not in self._stages:
            self._stages.add(stage)
            prefix = f'{stage}/' if stage else ''
            self.run.define_metric(f'{prefix}iter', hidden=True)
            for curves in (f'{prefix}*',) if stage else ('train/*', 'val/*', 'test/*'):
                self.run.define_metric(curves, step_metric=f'{prefix}iter')

    def _define(self, metrics: dict | list | None) -> None:
        if isinstance(metrics, dict):
            metrics = [{'name': name, 'summary': summary} for name, summary in metrics.items()]
        for metric in metrics or ():
            self.run.define_metric(**metric)

    def _describe(self) -> None:
        """A few columns, and the resolved config as a file: all of it would drown them."""
        settings = dict(self.info.settings)
        if (
            self.run.sweep_id
        ):  # W&B keeps what its sweep set, and warns of each attempt to change it
            settings = {k: v for k, v in settings.items() if k not in self.run.config.keys()}
        self.run.config.update(settings, allow_val_change=True)
        if self.info.files and not self.run.disabled and self.artifacts != 'none':
            artifact = self.wandb.Artifact(
                names.artifact_name('config', self.info.key), type='config'
            )
            for file in self.info.files:
                artifact.add_file(str(file))
            self.run.log_artifact(artifact)

    def _overlay(self, tile: ExampleTile, labels: dict[int, str]) -> Any:
        masks = {
            kind: {'mask_data': mask, 'class_labels': labels} for kind, mask in tile.masks.items()
        }
        return self.wandb.Image(tile.image, caption=tile.name, masks=masks)
