"""One test of one checkpoint: for the test stage and for ``tools/test.py``."""

import copy
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from arml.atomic import write_json
from arml.config.sections import name_apart, runner_config
from arml.config.text import unformatted
from arml.datasets.fingerprint import file_sha256
from arml.device import device_of
from arml.engine import StageRunner, distributed
from arml.engine import checkpoint as checkpoints
from arml.engine.card_check import card_in, check_card
from arml.errors import ConfigError
from arml.pipeline.data import metainfo_of
from arml.pipeline.examples import copy_example, evenly
from arml.pseudo.io import read_mask, write_mask
from arml.registry import DATASETS


def runner_settings(config: Config, section: str | None) -> dict[str, Any]:
    """The section's settings without what only a training needs.

    Raises:
        ConfigError: If it has no test data or metric.
    """
    settings = runner_config(config, section)
    for key in list(settings):
        if key.startswith(('train_', 'val_', 'optim_', 'param_')) or key == 'load_from':
            settings.pop(key)
    absent = [
        k for k in ('test_dataloader', 'test_evaluator', 'test_cfg') if settings.get(k) is None
    ]
    if absent:
        where = f'section {section}' if section else 'the top level'
        raise ConfigError(f'config {config.filename}: {", ".join(absent)} missing in {where}.')
    hooks = copy.deepcopy(settings.get('default_hooks') or {})
    hooks.update(checkpoint=None, param_scheduler=None)
    return {**settings, 'default_hooks': hooks, 'custom_hooks': []}


def build_runner(
    settings: dict[str, Any], checkpoint: Path, work_dir: Path, name: str, launcher: str
) -> StageRunner:
    """A Runner that will test ``checkpoint``. The weights an ``init_cfg`` names are not needed then."""
    settings = {**settings, 'model': without_pretrained(settings['model'])}
    settings.update(
        work_dir=str(work_dir),
        experiment_name=f'{name}-{uuid.uuid4().hex[:8]}',
        launcher=launcher,
        resume=False,
        load_from=str(checkpoint),
    )
    name_apart(settings)
    distributed.wrap_for_machine(settings)
    return StageRunner.from_cfg(unformatted(settings))


def without_pretrained(model: Any) -> Any:
    """A model's config with no initial weights to be had: a whole checkpoint replaces them."""
    if isinstance(model, dict):
        plain = {key: without_pretrained(value) for key, value in model.items()}
        if (
            isinstance(plain.get('init_cfg'), dict)
            and plain['init_cfg'].get('type') == 'Pretrained'
        ):
            plain['init_cfg'] = None
        if isinstance(plain.get('pretrained'), bool):
            plain['pretrained'] = False
            if 'checkpoint' in plain:
                plain['checkpoint'] = None
        elif plain.get('pretrained'):
            plain['pretrained'] = None
        return plain
    if isinstance(model, list | tuple):
        return [without_pretrained(item) for item in model]
    return model


class _KeepMasks(Hook):
    """Write every predicted mask of a test."""

    def __init__(self, folder: Path, palette: list) -> None:
        self.folder, self.palette = folder, palette

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        for sample in outputs or ():
            write_mask(
                self.folder / f'{Path(sample.img_path).stem}.png', labels_of(sample), self.palette
            )


def default_work_dir(config_file: str, checkpoint: Path) -> Path:
    """A folder of its own for each config and checkpoint, never inside the store of products.

    Raises:
        CheckpointError: If the checkpoint is not a file.
    """
    if not checkpoint.is_file():
        checkpoints.load(checkpoint)  # says what is wrong
    return Path('work_dirs') / f'test-{Path(config_file).stem}-{file_sha256(checkpoint)[:8]}'


def evaluate_checkpoint(
    config: Config,
    checkpoint: Path,
    work_dir: Path,
    show_dir: Path | None = None,
    launcher: str = 'none',
) -> dict[str, Any]:
    """Test a checkpoint on the test split of its section.

    Returns:
        A result as ``arml.report`` reads it, with one row.

    Raises:
        CheckpointError: If the checkpoint cannot be used, or says that it was trained on other
            classes, or on tiles that entered otherwise, than the config names.
        ConfigError: If the config has no test data or metric.
    """
    distributed.init(launcher)
    card = card_in(checkpoints.load(checkpoint))
    section = card.get('section')
    settings = runner_settings(config, section)
    info = metainfo_of(settings['test_dataloader']['dataset'])
    check_card(card, info['classes'], settings['model'].get('data_preprocessor'), checkpoint)
    runner = build_runner(settings, checkpoint, work_dir, Path(checkpoint).stem, launcher)
    if show_dir is not None:
        runner.register_hook(_KeepMasks(show_dir, palette_of(info)))
    metrics = {key: float(value) for key, value in runner.test().items()}
    name = card.get('stage', 'model')
    return {
        'name': name,
        'checkpoint': str(checkpoint),
        'dataset': info.get('dataset_name'),
        'classes': list(info['classes']),
        'palette': [list(color) for color in info['palette']],
        'rows': [{'name': name, 'split': 'test', 'metrics': metrics}],
    }


def keep_examples(runner: StageRunner, info: dict[str, Any], count: int, folder: Path) -> None:
    """Write tile, truth and prediction of a few tiles, spread evenly over the test split."""
    if not is_main_process():
        return
    dataset = runner.test_dataloader.dataset
    palette = palette_of(info)
    folder.mkdir(parents=True, exist_ok=True)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    names = []
    for index in evenly(len(dataset), count):
        sample = model.test_step(pseudo_collate([dataset[index]]))[0]
        stem = Path(sample.img_path).stem
        copy_example(Path(sample.img_path), folder / f'{stem}.tile.png')
        truth = read_mask(dataset.get_data_info(index)['seg_map_path'])
        write_mask(folder / f'{stem}.truth.png', truth, palette)
        write_mask(folder / f'{stem}.prediction.png', labels_of(sample), palette)
        names.append(stem)
    write_json(folder / 'examples.json', names)


def predict_tiles(
    settings: dict[str, Any], checkpoint: Path, dataset: dict[str, Any], stems: Collection[str]
) -> dict[str, np.ndarray]:
    """Predict a few tiles of any split, for a picture.

    Args:
        settings: As :func:`runner_settings` gives them.
        checkpoint: Parameters of their model.
        dataset: Settings of the tiles' data set, which enter as its pipeline says.
        stems: File names of the wanted tiles, without suffix.

    Returns:
        Stem -> predicted labels, uint8, (H, W), of those tiles that the data set has.
    """
    content = checkpoints.load(checkpoint)
    model = checkpoints.trained_model(without_pretrained(settings['model']), content, checkpoint)
    model = model.to(device_of(None))
    tiles = DATASETS.build(dataset)
    found = {}
    for index in range(len(tiles)):
        stem = Path(tiles.get_data_info(index)['img_path']).stem
        if stem in stems:
            with torch.inference_mode():
                sample = model.test_step(pseudo_collate([tiles[index]]))[0]
            found[stem] = labels_of(sample)
    return found


def labels_of(sample) -> np.ndarray:
    """The predicted labels of a data sample, uint8, (H, W)."""
    return sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)


def palette_of(info: dict[str, Any]) -> list:
    """Colours of the classes and, last, of background."""
    return [*info['palette'], info.get('background_color') or (255, 255, 255)]
