"""The config inside a checkpoint, read as data: nothing in it is executed.

``Config.fromstring`` runs the text as Python, and a registry builds any importable object that a
``type`` names. A checkpoint may come from a stranger, so its text is parsed instead, and only
types that are registered as parts of models are accepted.
"""

import ast
from collections.abc import Iterator
from typing import Any

from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TASK_UTILS as ROOT_TASK_UTILS
from mmengine.registry import Registry

from arml.errors import CheckpointError
from arml.registry import MAPS, MASK_RULES


def parse_config(text: str) -> dict[str, Any]:
    """Read the text of a dumped config: assignments of literals and ``dict(...)``.

    Args:
        text: As ``Config.pretty_text`` gives it.

    Returns:
        Its names and values.

    Raises:
        CheckpointError: If the text is not Python or holds anything else than literals.
    """
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise CheckpointError(f'the config in the checkpoint cannot be read: {error}') from error
    settings = {}
    for statement in module.body:
        names = statement.targets if isinstance(statement, ast.Assign) else []
        if len(names) != 1 or not isinstance(names[0], ast.Name):
            raise _refused(statement)
        settings[names[0].id] = _literal(statement.value)
    return settings


def _literal(node: ast.AST) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.List():
            return [_literal(item) for item in node.elts]
        case ast.Tuple():
            return tuple(_literal(item) for item in node.elts)
        case ast.Dict() if None not in node.keys:
            pairs = zip(node.keys, node.values, strict=True)
            return {_literal(key): _literal(value) for key, value in pairs}
        case ast.Call(func=ast.Name(id='dict'), args=[] | [ast.Dict()]) if all(
            item.arg for item in node.keywords
        ):
            first = _literal(node.args[0]) if node.args else {}
            return first | {item.arg: _literal(item.value) for item in node.keywords}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
    raise _refused(node)


def _refused(node: ast.AST) -> CheckpointError:
    return CheckpointError(
        f'the config in the checkpoint holds "{ast.unparse(node)[:80]}", expected literals and '
        'dict(...) only; nothing in a checkpoint is executed. Give the config file that it was '
        'trained with'
    )


def model_settings(card: dict[str, Any]) -> dict[str, Any]:
    """The config of the model that a checkpoint holds the parameters of.

    Args:
        card: The checkpoint's ``meta['arml']``.

    Returns:
        Settings to build the model from; initial weights (``init_cfg``) are left out, because
        the checkpoint replaces them.

    Raises:
        CheckpointError: If there is no config or no model in it, or it names a type that is not
            registered as a part of models.
    """
    if not isinstance(card.get('config'), str):
        raise CheckpointError(
            'the checkpoint carries no config; give the config file that it was trained with'
        )
    settings = parse_config(card['config'])
    section = card.get('section')
    part = settings if section is None else settings.get(section)
    if not isinstance(part, dict) or not isinstance(part.get('model'), dict):
        where = 'at the top level' if section is None else f'under {section!r}'
        raise CheckpointError(f'the config in the checkpoint has no model {where}')
    known = {ROOT_MODELS, ROOT_TASK_UTILS, MAPS, MASK_RULES}
    names = {name for registry in known for name in _registered(registry)}
    return _checked(part['model'], names)


def _registered(registry: Registry) -> Iterator[str]:
    """Every name by which a class of a registry and its children can be built."""
    registry.import_from_location()
    for name in registry.module_dict:
        yield name
        yield f'{registry.scope}.{name}'
    for children in registry.children.values():
        yield from _registered(children)


def _checked(value: Any, known: set[str]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_checked(item, known) for item in value)
    if not isinstance(value, dict):
        return value
    kind = value.get('type')
    if kind is not None and kind not in known:
        raise CheckpointError(
            f'the config in the checkpoint names the type {kind!r}, which is not registered as a '
            'part of models; it is not built. Give the config file that it was trained with'
        )
    return {key: _checked(item, known) for key, item in value.items() if key != 'init_cfg'}
