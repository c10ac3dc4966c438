"""What every stage of a pipeline is: settings, declared inputs, a key, a keyed product."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config

from arml.config.sections import set_leaf
from arml.errors import ConfigError
from arml.pipeline.data import without_places
from arml.pipeline.keys import BOUND, digest
from arml.pipeline.store import Product

#: Stands in a product for the name that the pipeline of a run gives its row.
ROW = '{row}'


@dataclass
class Context:
    """What a stage is given to run in.

    Attributes:
        folder: Where it writes its product.
        inputs: The finished products of the stages it named.
        resume: Whether to continue from what lies in ``folder``.
        launcher: As on mmseg's command line.
        run_name: Name of the run, for logs and trackers.
    """

    folder: Path
    inputs: dict[str, Product]
    resume: bool = False
    launcher: str = 'none'
    run_name: str = 'run'


@dataclass
class Outcome:
    """What a stage made.

    Attributes:
        items: Names and paths, relative to the stage's folder, of what it made.
        rows: Lines for the result table: ``{'name', 'split', 'metrics'}``; a name holds ``ROW`` where
            the run's own name of the row goes, which is not part of the product.
        notes: Plain values worth keeping in the product's record.
    """

    items: dict[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)


class Stage:
    """Base of all stages.

    Args:
        name: Its name in the pipeline; also the store's folder and the ending of its logs.
        config: The resolved config of the run.
        section: Section of the config it works on; None is the top level.
        bind: Leaves of its settings that are set from products: ``{leaf: 'stage/item'}``. A leaf below
            a part that the config switches off (None) takes nothing.
        inputs: Products it takes as they are: ``{role: 'stage/item'}``.
        row: Name of its line in the result table; None: no line.

    Raises:
        ConfigError: If a bound leaf has a value already, which the product would silently replace.
    """

    #: Raised when the same settings would now give another product.
    version: ClassVar[int] = 1
    #: Whether the product depends on the seed.
    seeded: ClassVar[bool] = True
    #: What trackers keep the descent of: its item ``checkpoint``, its ``masks``; None: nothing.
    tracked_as: ClassVar[str | None] = None

    def __init__(
        self,
        name: str,
        config: Config,
        section: str | None = None,
        bind: dict[str, str] | None = None,
        inputs: dict[str, str] | None = None,
        row: str | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.section = section
        self.bind = _taken(dict(bind or {}), config, section, name)
        self.inputs = dict(inputs or {})
        self.row = row

    @property
    def fingerprint_cache(self) -> Path:
        """Folder in the store that remembers the hashes of unchanged data files."""
        return Path(self.config.store).absolute() / 'fingerprints'

    @property
    def prefix(self) -> str:
        """What stands before the leaves of its section."""
        return f'{self.section}.' if self.section else ''

    @property
    def needs(self) -> list[str]:
        """Names of the stages whose products it takes, in order, each once."""
        sources = [*self.bind.values(), *self.inputs.values()]
        return list(dict.fromkeys(source.split('/')[0] for source in sources))

    @classmethod
    def reads(cls, entry: dict[str, Any]) -> set[str | None]:
        """Sections of the config that a line of the pipeline reads; None is the top level."""
        return {entry.get('section')}

    def settings(self) -> dict[str, Any]:
        """All that determines the product, apart from its inputs and the data."""
        raise NotImplementedError

    def fingerprints(self) -> dict[str, str]:
        """Fingerprints of the data it reads."""
        raise NotImplementedError

    def items(self) -> list[str] | None:
        """Names of what the product will hold; None where only the run shows."""
        return None

    def run(self, context: Context) -> Outcome:
        """Make the product in ``context.folder``."""
        raise NotImplementedError

    def check(self, continued: bool) -> None:
        """Refuse now what would fail late. Called before any stage runs.

        Args:
            continued: Whether the stage goes on from a checkpoint of its own.

        Raises:
            ArmlError: Names what is wrong.
        """

    def resumable(self, folder: Path) -> bool:
        """Whether an unfinished product in ``folder`` holds something to go on from."""
        return any(folder.iterdir())

    def tidy(self, folder: Path) -> None:
        """Remove from ``folder`` what only an unfinished product needs. Called once it is finished."""

    def description(self, keys: dict[str, str]) -> dict[str, Any]:
        """What the key is the hash of; ``keys`` are those of the stages before."""
        absent = [need for need in self.needs if need not in keys]
        if absent:
            raise ConfigError(
                f'pipeline stage {self.name}: takes the product of {", ".join(absent)}, '
                f'which does not come before it (before it: {", ".join(keys) or "none"}).'
            )
        return {
            'type': type(self).__name__,
            'version': self.version,
            'settings': self._unbound(),
            # Pairs, not dictionaries: a role may be named as a setting that is read otherwise.
            'bind': [[k, self._source_key(v, keys)] for k, v in sorted(self.bind.items())],
            'inputs': [[k, self._source_key(v, keys)] for k, v in sorted(self.inputs.items())],
            'data': self.fingerprints(),
            'seed': self.config.randomness['seed'] if self.seeded else None,
        }

    def key(self, keys: dict[str, str]) -> str:
        """The key of its product."""
        return digest(self.description(keys))

    def bound(self, settings: dict[str, Any], products: dict[str, Product]) -> dict[str, Any]:
        """``settings`` with the bound leaves set to the paths of the products."""
        settings = copy.deepcopy(settings)
        for leaf, source in self.bind.items():
            set_leaf(settings, leaf, str(self.input_path(source, products)))
        return settings

    @staticmethod
    def input_path(source: str, products: dict[str, Product]) -> Path:
        """Where ``stage/item`` lies; ``stage`` alone is its folder."""
        stage, _, item = source.partition('/')
        return products[stage].path(item) if item else products[stage].folder

    def _unbound(self) -> dict[str, Any]:
        settings = without_places(copy.deepcopy(self.settings()))
        for leaf in self.bind:
            set_leaf(settings, leaf, BOUND)
        return settings

    @staticmethod
    def _source_key(source: str, keys: dict[str, str]) -> str:
        stage, _, item = source.partition('/')
        return f'{keys[stage]}/{item}'


def _taken(bind: dict[str, str], config: Config, section: str | None, name: str) -> dict[str, str]:
    """The bound leaves that the config has a use for.

    Raises:
        ConfigError: If one has a value already.
    """
    part = config._cfg_dict if section is None else config.get(section)
    taken = {}
    for leaf, source in bind.items():
        node, *steps = part, *leaf.split('.')
        while steps and isinstance(node, dict) and steps[0] in node:
            node = node[steps.pop(0)]
        if steps and node is None:
            continue
        if not steps and node is not None:
            where = leaf if section is None else f'{section}.{leaf}'
            raise ConfigError(
                f'{where}: found {node!r}, but the pipeline sets it to the product {source} in stage '
                f"{name}. Leave it None, or take the line {leaf!r} out of that stage's bind."
            )
        taken[leaf] = source
    return taken
