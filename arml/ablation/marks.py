"""A YAML file with the line of each of its parts, so that what is wrong in it can be found."""

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from arml.errors import ConfigError

Steps = tuple[Hashable, ...]


class MarkedYaml:
    """The content of a YAML file, where each part stands, and what was found wrong with it so far.

    Two equal keys, of which a YAML reader takes the last in silence, are the first faults.

    Args:
        path: The file.

    Raises:
        ConfigError: If it cannot be read or is no YAML.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._faults: list[tuple[int, str]] = []
        try:
            text = self.path.read_text(encoding='utf-8')
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            #: The content as plain Python values.
            self.content: Any = yaml.safe_load(text)
        except OSError as error:
            raise ConfigError(f'{path}: cannot be read ({error.strerror})') from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f'{path}: is no YAML: {error}') from error
        self._lines: dict[Steps, int] = {(): 1}
        if node is not None:
            self._lines.update(self._walk(node, ()))

    def line(self, *steps: Hashable) -> int:
        """The line of the part that these keys and indices lead to, or of the nearest above it."""
        while steps not in self._lines:
            steps = steps[:-1]
        return self._lines[steps]

    def fault(self, steps: Steps, text: str) -> None:
        """Note what is wrong with a part."""
        place = '.'.join(str(step) for step in steps if isinstance(step, str))
        said = f'{place}: {text}' if place else text
        self._faults.append((self.line(*steps), said))

    def refuse(self) -> None:
        """End here if anything was found wrong.

        Raises:
            ConfigError: Lists all faults with their lines.
        """
        if not self._faults:
            return
        faults = [
            f'{self.path}, line {line}: {text}'
            for line, text in sorted(self._faults, key=lambda fault: fault[0])
        ]
        raise ConfigError('\n'.join(faults))

    def _walk(self, node: yaml.Node, steps: Steps) -> Iterator[tuple[Steps, int]]:
        """The line of each part below a node."""
        if isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                inner = (*steps, key.value if isinstance(key, yaml.ScalarNode) else '?')
                yield inner, line
                same = (key.tag, str(key.value))
                if same in lines:
                    self._lines[inner] = line
                    self.fault(inner, f'stands here a second time, first in line {lines[same]}')
                lines[same] = line
                yield from self._walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                yield (*steps, index), value.start_mark.line + 1
                yield from self._walk(value, (*steps, index))
