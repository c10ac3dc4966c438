"""The parameters of a sweep file against the config that they vary: leaves that exist, values of their kind."""

import copy
import difflib
from collections.abc import Callable, Mapping
from typing import Any

from mmengine.config import Config

from arml.config.choices import choices_in
from arml.config.chosen_file import files_in
from arml.config.kinds import check_kind
from arml.config.load import resolve_config
from arml.config.overrides import find_class, leaves
from arml.config.sections import get_leaf
from arml.errors import ConfigError

#: Where the losses are whose arguments are swept most; building one costs nothing.
LOSSES = 'arml.models.losses'
#: Takes a parameter, the index of its value (None: the parameter itself) and what is wrong.
Fault = Callable[[str, int | None, str], None]


def check_parameters(base: Config, parameters: Mapping[str, tuple[Any, ...]], fault: Fault) -> None:
    """Set each value of each parameter in the config, as a run would, the constants beside it.

    Args:
        base: As read from its file (:func:`arml.config.load.read_config`); stays as it is.
        parameters: Values by dotted path, those of a distribution its bounds.
        fault: Told of everything that is wrong.
    """
    files = files_in(base)
    choices = set(choices_in(base)) | ({files[0]} if files else set())
    constants: dict[str, Any] = {}
    resolved = resolve_config(copy.deepcopy(base), for_run=True)
    for name, values in sorted(parameters.items(), key=lambda item: len(item[1]) > 1):
        for index, value in enumerate(values):
            try:
                found = resolve_config(
                    copy.deepcopy(base), {**constants, name: value}, for_run=True
                )
                if name not in choices:
                    check_kind(resolved, name, value)
                    _build_loss(found, name)
            except ConfigError as error:
                unknown = name not in choices and not _is_there(resolved, name)
                near = difflib.get_close_matches(name, [*choices, *leaves(resolved)], n=1)
                hint = f' Did you mean {near[0]}?' if unknown and near else ''
                already = 'Did you mean' in str(error)
                said = str(error).removeprefix('override ').removeprefix(f'{name}: ')
                fault(name, None if unknown else index, said + ('' if already else hint))
                if unknown:
                    break
            else:
                if len(values) == 1:
                    constants[name], resolved = value, found


def _build_loss(config: Config, path: str) -> None:
    """Build the loss that a leaf is an argument of, if it is of one: it knows the range of its arguments.

    Raises:
        ConfigError: If a value is out of its range.
    """
    parent = path.rpartition('.')[0]
    node: Any = get_leaf(config._cfg_dict, parent) if parent else None
    kind = node.get('type') if isinstance(node, Mapping) else None
    cls = find_class(kind) if isinstance(kind, str) else None
    if cls is not None and cls.__module__.startswith(LOSSES):
        cls(**{key: value for key, value in node.items() if key != 'type'})


def _is_there(config: Config, path: str) -> bool:
    """Whether a dotted path leads to something in a config."""
    try:
        get_leaf(config._cfg_dict, path)
    except (LookupError, TypeError, ValueError):
        return False
    return True
