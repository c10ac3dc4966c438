"""What a parameter of a sweep may be: the part of W&B's schema that both engines understand alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from arml.ablation.values import as_read
from arml.errors import ConfigError

#: W&B's names of the distributions that are known here, and the keys of each.
KNOWN = {
    'constant': ('value',),
    'categorical': ('values',),
    'uniform': ('min', 'max'),
    'int_uniform': ('min', 'max'),
    'q_uniform': ('min', 'max', 'q'),
    'log_uniform_values': ('min', 'max'),
}
#: Step of ``q_uniform`` where none is given, as W&B has it.
DEFAULT_STEP = 1.0
#: Share of a step by which a bound may miss a multiple of it, for decimals that binary numbers round.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Distribution:
    """What one parameter of a search is drawn from.

    Attributes:
        kind: ``'categorical'`` (one of ``choices``), ``'float'`` or ``'int'`` (from ``low`` to ``high``, both
            included).
        low, high: Bounds of a number.
        step: Distance of the values that it may have, counted from ``low``; None: any.
        log: Whether its logarithm is uniform.
        choices: Of a categorical; one alone is a constant.
    """

    kind: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def examples(self) -> tuple[Any, ...]:
        """The choices, or the bounds: values that a config must take."""
        return self.choices or (self.low, self.high)


def distribution_of(entry: Any) -> Distribution:
    """The distribution that an entry of ``parameters`` says.

    Args:
        entry: As read from the sweep file.

    Raises:
        ConfigError: If it says none that is known here; without the place, which the caller knows.
    """
    name = _name_of(entry)
    required = [key for key in KNOWN[name] if key != 'q']
    unread = [key for key in entry if key not in (*KNOWN[name], 'distribution')]
    missing = [key for key in required if key not in entry]
    if unread or missing:
        raise ConfigError(
            f'found {entry!r}, expected {", ".join(required)}'
            + (' (and q, if it is not 1)' if 'q' in KNOWN[name] else '')
            + f' for the distribution {name}'
        )
    if name in ('constant', 'categorical'):
        return Distribution('categorical', choices=_choices(entry))
    return _numbers(name, entry)


def values_of(entry: Any) -> list[Any]:
    """The values of an entry of a grid.

    Raises:
        ConfigError: As :func:`distribution_of`, and for a distribution of numbers, which has no end of them.
    """
    found = distribution_of(entry)
    if found.kind != 'categorical':
        raise ConfigError(
            f'found {entry!r}, but a grid runs every value: expected value: X or values: [X, Y]. A range '
            'is for method: bayes or random.'
        )
    return list(found.choices)


def _name_of(entry: Any) -> str:
    """The name of the distribution; without one it follows from the keys, as for W&B."""
    ways = (
        'value: X, values: [X, Y], or min: A and max: B with a distribution of '
        + ', '.join(name for name in KNOWN if 'min' in KNOWN[name])
    )  # fmt: skip
    if not isinstance(entry, Mapping) or not entry:
        raise ConfigError(f'found {entry!r}, expected {ways}')
    if 'parameters' in entry:
        raise ConfigError(
            'found parameters within parameters, which W&B hands over as one dictionary. Write the dotted '
            'path of each leaf: a.b.c: {values: [X, Y]}'
        )
    name = entry.get('distribution')
    if name is None:
        bounds = [entry.get(key) for key in ('min', 'max')]
        whole = all(isinstance(bound, int) for bound in bounds)
        by_key = {'value': 'constant', 'values': 'categorical', 'probabilities': 'categorical'}
        name = next((by_key[key] for key in entry if key in by_key), None)
        if name is None and None not in bounds:
            name = 'int_uniform' if whole else 'uniform'
        if name is None:
            raise ConfigError(f'found {dict(entry)!r}, expected {ways}')
    if name not in KNOWN:
        raise ConfigError(
            f'distribution: found {name!r}, expected one of {", ".join(KNOWN)}: those that W&B and '
            'Optuna draw from alike'
        )
    return name


def _choices(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    given = [entry['value']] if 'value' in entry else entry['values']
    if not isinstance(given, list):
        raise ConfigError(f'found {dict(entry)!r}, expected value: X or values: [X, Y]')
    if not given:
        raise ConfigError('found no value')
    values = [as_read(value) for value in given]
    if len({repr(value) for value in values}) < len(values):
        raise ConfigError(f'found {given}, expected each value once')
    return tuple(values)


def _numbers(name: str, entry: Mapping[str, Any]) -> Distribution:
    for key in KNOWN[name]:
        value = entry.get(key, DEFAULT_STEP)
        whole = name == 'int_uniform'
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            text = isinstance(value, str) and 'e' in value.lower()
            raise ConfigError(
                f'{key}: found {value!r}, expected a {"whole " if whole else ""}number'
                + (
                    '. YAML wants a point and a sign in a number with an exponent: 1.0e-3'
                    if text
                    else ''
                )
            )
    low, high = entry['min'], entry['max']
    if not low < high:
        raise ConfigError(f'found min {low} and max {high}, expected min below max')
    if name == 'log_uniform_values' and low <= 0:
        raise ConfigError(f'min: found {low}, expected a number above 0: its logarithm is drawn')
    if name == 'int_uniform':
        return Distribution('int', low, high)
    if name != 'q_uniform':
        return Distribution('float', float(low), float(high), log=name == 'log_uniform_values')
    step = entry.get('q', DEFAULT_STEP)
    if step <= 0:
        raise ConfigError(f'q: found {step}, expected a number above 0')
    for key, bound in (('min', low), ('max', high)):
        if abs(bound / step - round(bound / step)) > TOLERANCE:
            raise ConfigError(
                f'{key}: found {bound}, expected a multiple of q = {step}: W&B rounds to those, Optuna '
                'counts from min'
            )
    if isinstance(step, int):  # then W&B gives whole numbers
        return Distribution('int', int(low), int(high), step=step)
    return Distribution('float', float(low), float(high), step=float(step))
