"""One command, the whole path: stages in order, each product made once, a result at the end."""

import contextlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, is_main_process

from arml.atomic import unwritable, write_json, write_text
from arml.config.load import datasets_in
from arml.config.text import config_text
from arml.engine import distributed
from arml.errors import ArmlError, ConfigError
from arml.pipeline.alone import alone_in
from arml.pipeline.data import check_before_training
from arml.pipeline.environment import config_file, describe
from arml.pipeline.finish import finish, link
from arml.pipeline.keys import digest, run_of
from arml.pipeline.messages import say
from arml.pipeline.stage import Context, Stage
from arml.pipeline.store import Product, Store
from arml.pipeline.tracked import backends_of, history_of, run_info, track_under_agent
from arml.progress import duration
from arml.registry import STAGES
from arml.tracking import Session, follow
from arml.tracking.products import made_of


@dataclass
class Planned:
    """One line of the plan: a stage, its key and what will be done about it."""

    stage: Stage
    key: str
    state: str  # 'finished', 'started' or 'new'
    description: dict[str, Any] = field(default_factory=dict)  # what the key is the hash of


#: Options of mmengine's wrapper for a training in bfloat16.
BF16 = {'dtype': 'bfloat16', 'loss_scale': {'enabled': False}}


def build_stages(config: Config) -> list[Stage]:
    """The stages that the config's ``pipeline`` names, in order.

    Raises:
        ConfigError: If there are none, a name is used twice, or a type is unknown.
    """
    pipeline = config.get('pipeline')
    if not pipeline:
        raise ConfigError(
            f'config {config.filename}: there is no pipeline, a list of stages such as '
            "dict(name='segmentor', type='arml.TrainStage'). configs/_base_/pipelines holds the common ones."
        )
    stages: list[Stage] = []
    for entry in pipeline:
        entry = dict(entry)
        kind = entry.pop('type', None)
        cls = STAGES.get(kind) if isinstance(kind, str) else None
        if cls is None:
            raise ConfigError(
                f'pipeline stage {entry.get("name")}: unknown type {kind!r}; known are '
                f'{", ".join("arml." + name for name in sorted(STAGES.module_dict))}.'
            )
        if entry.get('name') in [stage.name for stage in stages]:
            raise ConfigError(f'pipeline: two stages are named {entry["name"]!r}.')
        try:
            stages.append(cls(config=config, **entry))
        except TypeError as error:
            raise ConfigError(f'pipeline stage {entry.get("name")}: {error}.') from error
    return stages


def make_plan(stages: list[Stage], store: Store) -> list[Planned]:
    """Keys of all products, known before anything runs because they follow from keys alone.

    Raises:
        ConfigError: If a stage takes what no stage before it makes.
    """
    _check_sources(stages)
    keys: dict[str, str] = {}
    plan = []
    for stage in stages:
        description = stage.description(keys)
        keys[stage.name] = digest(description)
        if store.find(stage.name, keys[stage.name]) is not None:
            state = 'finished'
        else:
            state = 'started' if store.started(stage.name, keys[stage.name]) else 'new'
        plan.append(Planned(stage, keys[stage.name], state, description))
    return plan


def _check_sources(stages: list[Stage]) -> None:
    """Refuse an input that is no item of its stage; whether that one comes before is seen later."""
    by_name = {stage.name: stage for stage in stages}
    for stage in stages:
        for leaf, source in [*stage.bind.items(), *stage.inputs.items()]:
            name, _, item = source.partition('/')
            items = by_name[name].items() if name in by_name else None
            if item and items is not None and item not in items:
                raise ConfigError(
                    f'pipeline stage {stage.name}: {leaf} takes {source!r}, but {name} makes '
                    f'{", ".join(items)}.'
                )


def run_pipeline(
    config: Config,
    work_dir: str | os.PathLike | None = None,
    resume: bool = False,
    amp: str | None = None,
    launcher: str = 'none',
    overrides: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run all stages of a config and leave the result in the work dir.

    Args:
        config: A resolved config (:func:`arml.config.load_config`).
        work_dir: Where the result goes; None: ``work_dirs/<config>-<hash of what determines it>``.
        resume: Continue an interrupted stage instead of beginning it again.
        amp: Train with automatic mixed precision: ``'fp16'`` or ``'bf16'``.
        launcher: As on mmseg's command line.
        overrides: What was set beside the config file, which has it already; kept in the result, shown
            by trackers.

    Returns:
        What ``result.json`` holds.

    Raises:
        ArmlError: For anything in config, data or disk that a user can mend.
    """
    started = time.time()
    distributed.init(launcher)
    if amp:
        use_amp(config, amp)
    track_under_agent(config, overrides)
    if is_main_process():
        check_before_training(datasets_in(config._cfg_dict), say)
    barrier()
    store = Store(config.store)
    plan = make_plan(build_stages(config), store)
    run_key = run_of({item.stage.name: item.key for item in plan})
    stem = Path(config.filename).stem if config.filename else 'run'
    folder = Path(work_dir or config.get('work_dir') or Path('work_dirs') / f'{stem}-{run_key}')
    record = {
        'name': stem, 'title': config.get('title'), 'config_file': config_file(config.filename),
        'run': run_key, 'seed': config.randomness['seed'], **describe(),
        'command': ' '.join(sys.argv), 'overrides': dict(overrides or {}),
        'data': {item.stage.name: item.description['data'] for item in plan},
    }  # fmt: skip
    result: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        if is_main_process():
            if stack.enter_context(alone_in(folder, say)):
                plan = make_plan([item.stage for item in plan], store)
            _announce(config, plan, folder, store, record, resume)
            _prepare(folder, run_key, [item.stage.name for item in plan])
            write_text(folder / 'config.py', config_text(config))
            write_json(folder / 'environment.json', record)

        for item in plan:
            if item.state != 'finished':
                going_on = resume and item.state == 'started'
                lies = store.folder(item.stage.name, item.key)
                item.stage.check(continued=going_on and item.stage.resumable(lies))
        products: dict[str, Product] = {}
        trackers = backends_of(config) if is_main_process() else []
        with follow(trackers, run_info(config, folder, record, overrides), say) as session:
            for item in plan:
                if is_main_process():  # so that a training can be followed from the work dir
                    link(folder / item.stage.name, store.folder(item.stage.name, item.key))
                products[item.stage.name], made = _run_stage(
                    item, store, products, resume, launcher, f'{stem}-{run_key}', session
                )
                _follow_product(session, item, products[item.stage.name], plan, made)
            if is_main_process():
                record['seconds'] = round(time.time() - started, 1)
                result = finish(folder, config, plan, products, record)
                session.result(result, folder)
            barrier()
    return result


def _follow_product(
    session: Session, item: Planned, product: Product, plan: list[Planned], made: bool
) -> None:
    """Tell the trackers of a product that this run made, or found."""
    tracked = {each.key: each.stage.name for each in plan if each.stage.tracked_as is not None}
    kept = made_of(product.folder, product.record, tracked)
    if made:
        session.end_stage(kept)
    else:
        session.reuse_stage(item.stage.name, history_of(product), kept)


def _prepare(folder: Path, run_key: str, stages: list[str]) -> None:
    """Make the work dir; take out the result of another run, which must not stand beside this config.

    Raises:
        ArmlError: If a file or folder there has the name of a stage, or it cannot be written to.
    """
    result = folder / 'result.json'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in stages:
            if (folder / name).exists() and not (folder / name).is_symlink():
                raise ArmlError(
                    f'work dir {folder}: {name} is no link, but the product of the stage {name} will be '
                    'linked under that name. Move it away, or give another --work-dir.'
                )
        if result.is_file() and _run_of(result) != run_key:
            pictures = [folder / f'{name}.png' for name in ('curves', 'tiles', *stages)]
            links = [p for p in folder.iterdir() if p.is_symlink() and p.is_dir()]
            for old in (folder / 'table.md', *pictures, *links, result):
                old.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(result, error) from error


def _run_of(result: Path) -> str | None:
    """The key of the run that a result is of; None if it cannot be read."""
    try:
        return json.loads(result.read_text()).get('run')
    except (ValueError, AttributeError):
        return None


def _run_stage(
    item: Planned,
    store: Store,
    products,
    resume: bool,
    launcher: str,
    run_name: str,
    session: Session,
) -> tuple[Product, bool]:
    """Have the product of one stage: find it, or make it under its lock; and whether it was made."""
    stage, key = item.stage, item.key
    if not is_main_process():
        barrier()  # the main process holds the lock from here
        found = _agree(None)
        if not found:
            stage.run(Context(store.folder(stage.name, key), products, resume, launcher, run_name))
        barrier()
        return store.find(stage.name, key), not found
    with store.lock(stage.name, key, say):
        product = store.find(stage.name, key)
        made = product is None
        if made and not resume:
            store.clear(stage.name, key)
        barrier()
        _agree(product is not None)
        if product is not None:
            say(f'{stage.name}: finished before, taken from {product.folder}')
            stage.tidy(product.folder)  # one that was killed in between left its training states
        else:
            context = Context(store.folder(stage.name, key), products, resume, launcher, run_name)
            context.folder.mkdir(parents=True, exist_ok=True)
            session.begin_stage(stage.name, context.folder)
            begun = time.time()
            say(f'{stage.name}: begins in {context.folder}')
            outcome = stage.run(context)
            record = {**asdict(outcome), 'description': item.description}
            product = store.finish(stage.name, key, record)
            stage.tidy(context.folder)
            say(f'{stage.name}: finished in {duration(time.time() - begun)}')
        barrier()
    return product, made


def _agree(found: bool | None) -> bool:
    """The main process's answer, on all processes."""
    answer = [found]
    broadcast_object_list(answer)
    return bool(answer[0])


def use_amp(config: Config, precision: str = 'fp16') -> None:
    """Turn every training of the config to automatic mixed precision, as ``--amp`` of mmseg does.

    Args:
        config: Its optimiser wrappers are changed.
        precision: ``'fp16'``, with a scaled loss, which waits for the device in every step to see whether gradients
            overflowed; or ``'bf16'``, which has the range of float32 and needs neither.

    Raises:
        ConfigError: Where there is no GPU, or a wrapper other than ``OptimWrapper`` is set.
    """
    if not torch.cuda.is_available():
        raise ConfigError('--amp: needs a GPU; this machine has none. Leave --amp out.')
    for section in (config._cfg_dict, *config._cfg_dict.values()):
        wrapper = section.get('optim_wrapper') if isinstance(section, dict) else None
        if wrapper is None:
            continue
        if wrapper.get('type', 'OptimWrapper') not in ('OptimWrapper', 'AmpOptimWrapper'):
            raise ConfigError(f'--amp: does not work with optim_wrapper.type {wrapper["type"]!r}.')
        wrapper['type'] = 'AmpOptimWrapper'
        if precision == 'bf16':
            wrapper.update(BF16)
        else:
            wrapper.setdefault('loss_scale', 'dynamic')


def _announce(config, plan, folder, store, record, resume) -> None:
    commit, versions = record['commit'], record['versions']
    say(f'{record["name"]}, seed {record["seed"]}, commit {commit[:12]}, torch {versions["torch"]}')
    say(f'data {config.get("data_root")}, products in {store.root}, result in {folder}')
    for item in plan:
        todo = {'finished': 'finished before, will be reused', 'new': 'to be done'}.get(item.state)
        if item.state == 'started':
            todo = 'interrupted, begins again (add --resume to continue it)'
            if not item.stage.resumable(store.folder(item.stage.name, item.key)):
                todo = 'interrupted before there was anything to continue, begins again'
            elif resume:
                todo = 'interrupted, will be continued'
        say(f'  {item.stage.name:<14} {item.key}  {todo}')
