"""Sweep files in W&B's schema: read, checked against the config that they vary, before anything starts."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from arml.ablation.check import check_parameters
from arml.ablation.marks import MarkedYaml, Steps
from arml.ablation.scores import scores_of
from arml.ablation.space import Distribution, distribution_of, values_of
from arml.config.load import read_config
from arml.errors import ConfigError

SEED = 'randomness.seed'
METHODS = ('grid', 'random', 'bayes')
GOALS = ('maximize', 'minimize')
#: Keys of W&B's schema that a sweep has here; others would be read by nobody.
KEYS = {
    'name', 'description', 'project', 'entity', 'program', 'command', 'method', 'metric', 'parameters',
    'run_cap', 'early_terminate',
}  # fmt: skip
#: Of ``early_terminate``, whose only kind is hyperband: keys and the types of their values.
HYPERBAND = {
    'type': str, 'min_iter': int, 'max_iter': int, 's': int, 'eta': int | float, 'strict': bool,
}  # fmt: skip
#: What W&B takes for a parameter's name.
NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_.-]*')
#: ``segmentor/val/mIoU``, or ``test/mIoU`` for the last row of the table.
METRIC = re.compile(r'(?P<stage>[^/]+)/(?P<kind>train|val)/(?P<score>[^/]+)|test/[^/]+')


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A grid or a search over leaves and choices of one config.

    Attributes:
        name: Its name; that of the file where it has none.
        path: Its file.
        config: The config that it varies.
        program: What runs a cell; takes the command line of ``tools/train.py``.
        method: ``grid``, ``random`` or ``bayes``.
        metric: What cells are compared by, as trackers call it: ``segmentor/val/mIoU``, ``test/mIoU``.
        goal: ``maximize`` or ``minimize``.
        parameters: Of a grid: values by dotted path, in the order of the file, as the program will read them.
        space: Of a search: what each parameter is drawn from, in the order of the file.
        run_cap: Of a search: how many cells it runs.
        early_terminate: Of a search: W&B's settings of hyperband, where it has any.
        content: The file as read.
    """

    name: str
    path: Path
    config: Path
    program: Path
    method: str = 'grid'
    metric: str = 'test/mIoU'
    goal: str = 'maximize'
    parameters: dict[str, list[Any]] = field(default_factory=dict)
    space: dict[str, Distribution] = field(default_factory=dict)
    run_cap: int | None = None
    early_terminate: dict[str, Any] | None = None
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        """The table of the paper that it is about, by the beginning of its name; else nothing."""
        return re.findall(r'^table\d+', self.name)

    def combinations(self) -> list[dict[str, Any]]:
        """The full product of a grid. The seed varies fastest, so that neighbours share no classifier.

        Raises:
            ConfigError: Of a search, whose combinations are drawn one after the other.
        """
        if self.method != 'grid':
            raise ConfigError(
                f'sweep {self.name}: found method: {self.method}, which draws its cells one after the other, '
                'expected grid: only a grid knows its cells before it runs'
            )
        names = sorted(self.parameters, key=lambda name: name == SEED)
        values = (self.parameters[name] for name in names)
        return [dict(zip(names, row, strict=True)) for row in itertools.product(*values)]


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep file and check it against its config.

    Args:
        path: YAML in W&B's schema with a ``method``, ``parameters``, a ``program`` and a ``command`` in which the
            config follows ``${program}``. Both paths count from the working directory, as for W&B; where not
            both are there, from the nearest folder above the sweep file that has them.

    Raises:
        ConfigError: If it cannot be read, has a key twice or one that nothing reads, names a program or
            config that is not there, has a parameter that is neither a leaf nor a choice of the config or a
            value that the leaf does not take, or searches by a metric of the test split. Lists all
            faults, each with its line.
    """
    file = MarkedYaml(path)
    content = file.content
    if not isinstance(content, dict):
        raise ConfigError(f'{path}: found {type(content).__name__}, expected keys and values')
    for key in content:
        if key not in KEYS:
            file.fault((str(key),), f'is none of the keys that are read: {", ".join(sorted(KEYS))}')
    for key in ('description', 'project', 'entity'):
        if not isinstance(content.get(key, ''), str):
            file.fault((key,), f'found {content[key]!r}, expected a text')
    name, method = _name(file), content.get('method')
    if method not in METHODS:
        file.fault(('method',), f'found {method!r}, expected one of {", ".join(METHODS)}')
    space = _space(file, grid=method == 'grid')
    program, config, base = _files(file)
    metric, goal = _metric(file, base, space, search=method in METHODS[1:])
    cap, early = _search_keys(file, method, space)
    if base is not None:
        check_parameters(base, {k: d.examples for k, d in space.items()}, _to_line(file))
    file.refuse()
    is_grid = method == 'grid'
    return Sweep(
        name=name, path=file.path, config=config, program=program, method=method, metric=metric, goal=goal,
        parameters={k: list(d.choices) for k, d in space.items()} if is_grid else {},
        space={} if is_grid else space, run_cap=cap, early_terminate=early, content=content,
    )  # fmt: skip


def _name(file: MarkedYaml) -> str:
    name = file.content.get('name', file.path.stem)
    if not isinstance(name, str):  # W&B takes no other either
        file.fault(
            ('name',), f'found {name!r}, expected a text; in quotes if YAML reads it otherwise'
        )
    elif name in ('', '.', '..') or Path(name).name != name:
        file.fault(('name',), f'found {name!r}, expected the name of a folder without its path')
    return str(name)


def _space(file: MarkedYaml, grid: bool) -> dict[str, Distribution]:
    """The parameters of the file; those at fault are left out."""
    parameters = file.content.get('parameters')
    if not isinstance(parameters, dict) or not parameters:
        file.fault(('parameters',), f'found {parameters!r}, expected dotted paths of leaves')
        return {}
    space = {}
    for name, entry in parameters.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            file.fault(('parameters', str(name)), 'expected letters, digits and _ . - in a name')
            continue
        try:
            if grid:
                space[name] = Distribution('categorical', choices=tuple(values_of(entry)))
            else:
                space[name] = distribution_of(entry)
        except ConfigError as error:
            file.fault(('parameters', name), str(error))
    return space


def _files(file: MarkedYaml) -> tuple[Path, Path, Config | None]:
    """Program and config, and what the config holds; None if one of them is at fault."""
    program, command = file.content.get('program'), file.content.get('command')
    if not isinstance(program, str):
        file.fault(('program',), f'found {program!r}, expected a file such as tools/train.py')
    words = [str(word) for word in command] if isinstance(command, list) else []
    place = words.index('${program}') + 1 if '${program}' in words else len(words)
    config, *rest = words[place:] or ['']
    if rest[:1] == ['--resume']:
        rest = rest[1:]
    # Other words would reach the program under W&B, and nobody here.
    right = config.endswith('.py') and rest == ['--cfg-options', '${args_no_hyphens}']
    if not right:
        file.fault(
            ('command',),
            f'found {command!r}, expected [..., ${{program}}, the config, --resume, --cfg-options, '
            '${args_no_hyphens}]',
        )
    nothing = Path(), Path(), None
    if not right or not isinstance(program, str):
        return nothing
    root = _root_of(program, config, file.path)
    if root is None:
        file.fault(
            ('command',),
            f'found the program {program} and the config {config}, but neither the working directory '
            f'{Path.cwd()} nor a folder above the sweep file has both. Start the sweep where they are.',
        )
        return nothing
    try:
        return root / program, root / config, read_config(root / config)
    except ConfigError as error:
        file.fault(('command',), str(error))
        return nothing


def _root_of(program: str, config: str, path: Path) -> Path | None:
    """The folder that the paths in a sweep file count from: one for both, never two source trees."""
    for folder in (Path.cwd(), *path.absolute().parents):
        if (folder / program).is_file() and (folder / config).is_file():
            return folder
    return None


def _metric(
    file: MarkedYaml, base: Config | None, space: Mapping[str, Distribution], search: bool
) -> tuple[str, str]:
    metric = file.content.get('metric')
    if metric is None and not search:
        return Sweep.metric, Sweep.goal
    known = isinstance(metric, Mapping) and set(metric) == {'name', 'goal'}
    if not known or metric['goal'] not in GOALS:
        file.fault(
            ('metric',),
            f'found {metric!r}, expected name, such as segmentor/val/mIoU, and goal, maximize or minimize '
            '(without a goal W&B minimizes)',
        )
        return Sweep.metric, Sweep.goal
    name = str(metric['name'])
    found = METRIC.fullmatch(name)
    stages = [entry.get('name') for entry in (base.get('pipeline') or [] if base else [])]
    at = ('metric', 'name')
    if found is None:
        file.fault(at, f'found {name!r}, expected STAGE/val/SCORE, STAGE/train/SCORE or test/SCORE')
    elif search and found['kind'] != 'val':
        file.fault(
            at,
            f'found {name!r}, expected a metric of the validation, such as segmentor/val/mIoU: a search that is '
            'led by the test split, or by what is trained on, reports what it chose by',
        )
    elif base is not None and found['stage'] and found['stage'] not in stages:
        file.fault(at, f'found the stage {found["stage"]!r}, expected one of {", ".join(stages)}')
    elif base is not None and found['kind'] != 'train':
        score = name.rpartition('/')[2]
        known = scores_of(base, {k: d.examples[0] for k, d in space.items()}, found['stage'])
        if known and score not in known:
            file.fault(at, f'found the score {score!r}, expected one of {", ".join(known)}')
    return name, metric['goal']


def _search_keys(
    file: MarkedYaml, method: Any, space: Mapping[str, Distribution]
) -> tuple[int | None, dict[str, Any] | None]:
    """``run_cap`` and ``early_terminate``, which only a search has."""
    cap, early = file.content.get('run_cap'), file.content.get('early_terminate')
    if method == 'grid':
        for key, value in (('run_cap', cap), ('early_terminate', early)):
            if value is not None:
                file.fault((key,), 'is for a search: a grid runs every cell to its end')
        return None, None
    if method not in METHODS:
        return None, None
    if type(cap) is not int or cap < 1:
        file.fault(
            ('run_cap',),
            f'found {cap!r}, expected a whole number from 1: a search has no end of its own',
        )
    if all(len(each.choices) == 1 for each in space.values()):
        file.fault(('parameters',), 'found only constants, expected something to search over')
    if early is not None:
        _check_hyperband(file, early)
    return cap, early


def _check_hyperband(file: MarkedYaml, early: Any) -> None:
    at: Steps = ('early_terminate',)
    ways = 'type: hyperband with min_iter, or with max_iter and s'
    if not isinstance(early, Mapping) or early.get('type') != 'hyperband':
        file.fault(at, f'found {early!r}, expected {ways}')
        return
    for key, value in early.items():
        kind = HYPERBAND.get(key)
        number = kind is not None and kind is not bool and kind is not str
        if kind is None:
            file.fault((*at, key), f'expected one of {", ".join(HYPERBAND)}')
        elif not isinstance(value, kind) or (number and (isinstance(value, bool) or value < 1)):
            said = 'a number from 1' if number else kind.__name__
            file.fault((*at, key), f'found {value!r}, expected {said}')
    if 'min_iter' not in early and not {'max_iter', 's'} <= set(early):
        file.fault(at, f'found {dict(early)!r}, expected {ways}')


def _to_line(file: MarkedYaml) -> Any:
    """What notes a fault of a parameter's value at its line."""

    def fault(name: str, index: int | None, text: str) -> None:
        entry = file.content['parameters'][name]
        steps: Steps = ('parameters', name)
        if index is not None and 'values' in entry:
            steps = (*steps, 'values', index)
        elif index is not None:
            keys = ('value',) if 'value' in entry else ('min', 'max')
            steps = (*steps, keys[index])
        file.fault(steps, text)

    return fault
