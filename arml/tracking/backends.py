"""Backends of mmengine's visualizer that write to the trackers of this process's run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.visualization import TensorboardVisBackend as MMEngineTensorboardVisBackend
from mmengine.visualization import WandbVisBackend as MMEngineWandbVisBackend
from mmengine.visualization.vis_backend import BaseVisBackend

from arml.atomic import write_text
from arml.registry import VISBACKENDS
from arml.tracking import names
from arml.tracking.session import Follower, current, wanted
from arml.tracking.tracker import RunInfo


class _FollowingBackend(BaseVisBackend):
    """What both have in common: where a value stands, and whose run it belongs to.

    In a run of ``tools/train.py`` all stages write into one run, which the pipeline opens and ends. A
    Runner by itself opens one of its own with the first value and ends it with itself.
    """

    kind: str

    def __init__(self, save_dir: str, **options: Any) -> None:
        super().__init__(save_dir)
        self._options = options
        self._own: Follower | None = None

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Of a Runner by itself, its config as a file. A run's own goes up once, when it begins."""
        if current() is None:
            file = Path(self._save_dir) / 'config.py'
            write_text(file, config.pretty_text)
            self._open(config.get('experiment_name') or 'run', (file,))

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """One value."""
        self.add_scalars({name: value}, step)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Values of one moment, at the iterations done by then, whatever ``step`` counts."""
        stage, history = _stage()
        kind, iteration, epoch = moment(MessageHub.get_current_instance(), step)
        point = names.curve(stage, kind, iteration, epoch, scalar_dict)
        self._follower().log(point, stage, history)

    def add_image(self, name: str, image: Any, step: int = 0, **kwargs: Any) -> None:
        """A picture, RGB, at the iterations done by then."""
        kind, iteration, _ = moment(MessageHub.get_current_instance(), step)
        self._follower().image(f'{kind}/{name}', image, iteration, _stage()[0])

    def close(self) -> None:
        """End the run of a Runner by itself."""
        if self._own is not None:
            self._own.close(0)
            self._own = None

    def _follower(self) -> Follower:
        session = current()
        followed = session.follower(self.kind) if session is not None else None
        return followed or self._own or self._open('run', ())

    def _open(self, name: str, files: tuple[Path, ...]) -> Follower:
        from mmengine.logging import print_log

        folder = Path(self._save_dir)
        folder.mkdir(parents=True, exist_ok=True)
        info = RunInfo(folder, key=folder.parent.name, name=str(name), files=files)
        options = wanted([{'type': self.kind, **self._options}])[self.kind]
        self._own = Follower(
            self.kind, options, info, lambda text: print_log(text, 'current', 'WARNING')
        )
        return self._own


@VISBACKENDS.register_module()
class WandbVisBackend(_FollowingBackend, MMEngineWandbVisBackend):
    """mmengine's W&B backend with true steps and one run for all stages.

    What mmengine's does otherwise: it ignores ``step``; it sends the whole config, and cannot when a
    training is resumed; each of its Runners takes over, and ends, the run of the one before. Masks,
    tables and artifacts are added by the run (:class:`arml.tracking.wandb_tracker.WandbTracker`).

    Args:
        save_dir: Folder of the visualizer.
        init_kwargs: Further arguments of ``wandb.init``.
        define_metric_cfg: As of mmengine's.
        watch_kwargs: Arguments of ``watch``, for :meth:`add_graph`.
        artifacts: As of the tracker.
        init_timeout: As of the tracker.
        finish_timeout: As of the tracker.
    """

    kind = 'arml.WandbVisBackend'

    def __init__(
        self,
        save_dir: str,
        init_kwargs: dict | None = None,
        define_metric_cfg: dict | list | None = None,
        watch_kwargs: dict | None = None,
        artifacts: str = 'reference',
        init_timeout: float = 60.0,
        finish_timeout: float = 600.0,
    ) -> None:
        _FollowingBackend.__init__(
            self, save_dir, init_kwargs=init_kwargs, define_metric_cfg=define_metric_cfg,
            artifacts=artifacts, init_timeout=init_timeout, finish_timeout=finish_timeout,
        )  # fmt: skip
        self._watch_kwargs = watch_kwargs or {}

    @property
    def experiment(self) -> Any:
        """The module ``wandb``, whose functions work on the run."""
        self._follower()
        import wandb

        return wandb

    def add_graph(self, model: torch.nn.Module, data_batch: Sequence[dict], **kwargs: Any) -> None:
        """Watch a model's gradients."""
        follower = self._follower()
        follower.guard('watch', lambda: follower.tracker.run.watch(model, **self._watch_kwargs))


@VISBACKENDS.register_module()
class TensorboardVisBackend(_FollowingBackend, MMEngineTensorboardVisBackend):
    """mmengine's TensorBoard backend with one folder a run and the stage in each name.

    Args:
        save_dir: Folder of the visualizer.
    """

    kind = 'arml.TensorboardVisBackend'

    def __init__(self, save_dir: str) -> None:
        _FollowingBackend.__init__(self, save_dir)

    @property
    def experiment(self) -> Any:
        """The ``SummaryWriter``; None where TensorBoard has failed."""
        tracker = self._follower().tracker
        return tracker.writer if tracker is not None else None


def moment(hub: MessageHub, step: int) -> tuple[str, int, int | None]:
    """What a Runner is doing: ``train``, ``val`` or ``test``, iterations done, epochs begun.

    mmengine's logger gives iterations after a training step and epochs after a validation; the
    message hub knows both.

    Args:
        hub: That of the Runner.
        step: As the logger gives it; used where the hub knows nothing, in a Runner that trains nothing.
    """
    info = hub.runtime_info
    kind = info.get('loop_stage') or 'train'
    iteration = int(info['iter']) + 1 if 'iter' in info else step
    epoch = int(info['epoch']) + 1 if 'epoch' in info else None
    return kind, iteration, epoch


def _stage() -> tuple[str, Path | None]:
    session = current()
    return (session.stage, session.history) if session is not None else ('', None)
