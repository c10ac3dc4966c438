"""The end of a run: ``result.json``, the table, the pictures, and where everything lies."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

from arml.atomic import write_json, write_text
from arml.config.sections import runner_config
from arml.pipeline.data import metainfo_of
from arml.pipeline.messages import say
from arml.pipeline.stage import ROW, Stage
from arml.pipeline.stages import MaskScoreStage, MaskStage, TestStage, TrainStage
from arml.pipeline.store import Product
from arml.pipeline.testing import predict_tiles, runner_settings
from arml.progress import duration
from arml.pseudo.io import read_mask
from arml.report.curves import draw_curves
from arml.report.result import load_history
from arml.report.table import markdown_table, text_table
from arml.report.tiles import TileRow, tile_sheet


def finish(
    folder: Path,
    config: Config,
    plan: list,
    products: dict[str, Product],
    record: dict[str, Any],
) -> dict[str, Any]:
    """Write the result of a run into its work dir and show it.

    ``result.json`` is written last and by rename: a work dir without it is not finished.

    Args:
        folder: The work dir.
        config: The resolved config.
        plan: The stages and their keys, in order.
        products: The product of each stage.
        record: Name, seed, versions, commit, command, seconds.

    Returns:
        What ``result.json`` holds.
    """
    info = metainfo_of(_test_dataset(config, plan))
    for name, product in products.items():
        link(folder / name, product.folder)
    result = {
        **record,
        'dataset': info.get('dataset_name'),
        'classes': list(info['classes']),
        'palette': [list(color) for color in info['palette']],
        'rows': [row for item in plan for row in _rows(item.stage, products[item.stage.name])],
        'histories': {
            name: f'{name}/{product.record["items"]["history"]}'
            for name, product in products.items()
            if 'history' in product.record['items']
        },
        'validation': _validation(plan, products),
        'stages': {
            item.stage.name: {
                'key': item.key,
                'folder': str(products[item.stage.name].folder),
                'reused': item.state == 'finished',
                **_made_with(products[item.stage.name]),
                **products[item.stage.name].record['notes'],
            }
            for item in plan
        },
        'data': {
            item.stage.name: products[item.stage.name].record['description']['data']
            for item in plan
        },
    }
    pictures = _pictures(folder, result, info, plan, products)
    result['pictures'] = [picture.name for picture in pictures]
    if result['rows']:
        write_text(folder / 'table.md', markdown_table(result) + '\n')
        print(text_table(result))
    write_json(folder / 'result.json', result)
    _say_where(folder, result, pictures)
    return result


def _validation(plan: list, products: dict[str, Product]) -> dict[str, dict[str, Any]]:
    """Metric, value and epoch by which each training was chosen; none of one that keeps its last epoch."""
    found = {}
    for item in plan:
        metric, rule = _choice(item.stage) if isinstance(item.stage, TrainStage) else (None, '')
        if metric is not None:
            rows = load_history(products[item.stage.name].path('history'))
            scores = [(r[metric], r['epoch']) for r in rows if _validates(r, metric)]
            if scores:
                pick = min if rule == 'less' else max
                value, epoch = pick(scores, key=lambda pair: pair[0])  # of equal ones the first
                found[item.stage.name] = {'metric': metric, 'value': value, 'epoch': epoch}
    return found


def _validates(row: dict[str, Any], metric: str) -> bool:
    return row['kind'] == 'val' and metric in row and math.isfinite(row[metric])


def _made_with(product: Product) -> dict[str, Any]:
    """Commit, processor and time that a product is of; another run than this one may have made it."""
    made = product.record.get('made', {})
    return {
        'commit': made.get('commit', 'unknown'),
        'processor': made.get('processor'),
        'made': made.get('time'),
    }


def _rows(stage: Stage, product: Product) -> list[dict[str, Any]]:
    """A product's lines under the name this run's pipeline gives them; without a name, none."""
    return [
        {**row, 'name': row['name'].replace(ROW, stage.row or ''), 'stage': stage.name}
        for row in product.record['rows']
        if stage.row or ROW not in row['name']
    ]


def _test_dataset(config: Config, plan: list) -> dict[str, Any]:
    """The data set that names the classes: the test split of the last section that has one."""
    for item in reversed(plan):
        part = config if item.stage.section is None else config[item.stage.section]
        for loader in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
            if part.get(loader):
                return part[loader]['dataset']
    return config.pseudo_masks['dataloader']['dataset']


def link(place: Path, target: Path) -> None:
    """Point ``place`` at the folder of a product, relative, replacing an older link."""
    temporary = place.with_name(f'.{place.name}.{os.getpid()}')
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, place.parent.resolve()), target_is_directory=True)
    os.replace(temporary, place)


def _pictures(folder: Path, result, info, plan, products) -> list[Path]:
    pictures = []
    if result['histories']:
        path = folder / 'curves.png'
        choices = {i.stage.name: _choice(i.stage) for i in plan if isinstance(i.stage, TrainStage)}
        draw_curves(result['histories'], path, root=folder, choices=choices)
        pictures.append(path)
    look = {
        'palette': info['palette'],
        'background_colour': info.get('background_color') or (255, 255, 255),
    }
    of_run = f'{result["name"]}, seed {result["seed"]}'
    tested = [(item.stage.row, products[item.stage.name]) for item in plan if _is_test(item.stage)]
    if tested:
        rows = _tile_rows(tested[0][1], [(row, p, 'prediction') for row, p in tested], info)
        path = folder / 'tiles.png'
        tile_sheet(
            rows, info['classes'], path=path, title=f'{of_run}: tiles of the test split', **look
        )
        pictures.append(path)
    for item in plan:
        if isinstance(item.stage, MaskStage):
            made = products[item.stage.name]
            # An item <map>.<extra> holds arrays, no pictures.
            names = [n for n in made.record['items'] if n != 'examples' and '.' not in n]
            rows = _tile_rows(
                _with_truths(made, plan, products),
                [(f'pseudo mask ({name})', made, name) for name in names],
                info,
            )
            rows = _with_predictions(rows, item.stage, made.path(names[0]), plan, products)
            path = folder / f'{item.stage.name}.png'
            title = f'{of_run}: pseudo masks of training tiles, classes gated by their labels'
            tile_sheet(rows, info['classes'], path=path, title=title, **look)
            pictures.append(path)
    return pictures


def _with_truths(masks: Product, plan: list, products: dict[str, Product]) -> Product:
    """The product that holds the masks' examples with their truths, if a stage scored the masks."""
    for item in plan:
        made = products[item.stage.name]
        is_score = isinstance(item.stage, MaskScoreStage) and 'examples' in made.record['items']
        if is_score and products[item.stage.needs[0]].folder == masks.folder:
            return made
    return masks


def _choice(stage: TrainStage) -> tuple[str | None, str]:
    """Metric and rule by which a training chooses its epoch; the metric is None for the last one."""
    hooks = runner_config(stage.config, stage.section).get('default_hooks') or {}
    hook = hooks.get('checkpoint') or {}
    return hook.get('save_best'), hook.get('rule', 'greater')


def _with_predictions(
    rows: list[TileRow], masks: MaskStage, folder: Path, plan: list, products: dict[str, Product]
) -> list[TileRow]:
    """The rows with what the final segmentor says of the same tiles, if the pipeline tests one.

    Args:
        rows: Rows of training tiles; their titles are the file names.
        masks: The stage that made their masks.
        folder: A folder of its masks.
        plan: The stages.
        products: The product of each stage.
    """
    tests = [i.stage for i in plan if _is_test(i.stage) and i.stage.section != masks.section]
    if not tests:
        return rows
    test = tests[-1]
    settings = test.bound(runner_settings(test.config, test.section), products)
    tiles = masks.config[masks.masks_section]['dataloader']['dataset']
    dataset = {
        **settings['test_dataloader']['dataset'],
        'data_root': tiles['data_root'],
        'split': tiles['split'],
        'masks': str(folder),
    }
    checkpoint = test.input_path(test.inputs['checkpoint'], products)
    found = predict_tiles(settings, checkpoint, dataset, {row.title for row in rows})
    return [replace(row, masks={**row.masks, 'prediction': found.get(row.title)}) for row in rows]


def _is_test(stage: Stage) -> bool:
    return isinstance(stage, TestStage) and stage.row is not None


def _tile_rows(
    first: Product, columns: list[tuple[str, Product, str]], info: dict[str, Any]
) -> list[TileRow]:
    """Rows of tiles; each column is a title, a product and the ending of its example files."""
    folder = first.path('examples')
    stems = json.loads((folder / 'examples.json').read_text())
    with_truth = all((folder / f'{stem}.truth.png').is_file() for stem in stems)
    rows = []
    for stem in stems:
        masks: dict[str, np.ndarray | None] = {}
        if with_truth:
            masks['truth'] = _counted(read_mask(folder / f'{stem}.truth.png'), info)
        for title, product, ending in columns:
            file = product.path('examples') / f'{stem}.{ending}.png'
            masks[title] = read_mask(file) if file.is_file() else None
        with Image.open(folder / f'{stem}.tile.png') as image:
            rows.append(TileRow(np.asarray(image.convert('RGB')), masks, stem))
    return rows


def _counted(truth: np.ndarray, info: dict[str, Any]) -> np.ndarray:
    """The truth with what no protocol counts as 255, where the data set has no background."""
    if info.get('background_index') is not None:
        return truth
    return np.where(truth >= len(info['classes']), np.uint8(255), truth)


def _say_where(folder: Path, result: dict[str, Any], pictures: list[Path]) -> None:
    say(f'finished in {duration(result["seconds"])}; everything lies in {folder}:')
    say(
        '  result.json, table.md'
        + ''.join(f', {p.name}' for p in pictures)
        + ', config.py, environment.json'
    )
    for name, stage in result['stages'].items():
        say(f'  {name}/ -> {stage["folder"]}')
