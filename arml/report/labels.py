"""Names of parameters and values as a reader of a table knows them, in text and in LaTeX."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

#: The paper's symbols by the last part of a dotted path.
SYMBOLS = {'omega': 'ω', 'alpha': 'α', 'beta': 'β', 'lambda_': 'λ'}
#: What the paper's symbols weigh, for an axis; none has a unit.
WEIGHTS = {
    'omega': 'weight ω of agreeing pixels',
    'alpha': 'weight α of distances',
    'beta': 'weight β of angles',
    'lambda_': 'weight λ of the relation',
}
#: The paper's words for values of omega that are no numbers.
OMEGA_WORDS = {'drop': '∞', 'none': 'N/A'}
LATEX = {
    '\\': r'\textbackslash{}', '&': r'\&', '%': r'\%', '$': r'\$', '#': r'\#', '_': r'\_', '{': r'\{', '}': r'\}',
    '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', 'ω': r'$\omega$', 'α': r'$\alpha$', 'β': r'$\beta$',
    'λ': r'$\lambda$', '∞': r'$\infty$', '±': r'$\pm$', '−': '$-$', '–': '--', '†': r'$^\dagger$',
    '<': '$<$', '>': '$>$', '×': r'$\times$', '²': '$^2$',
}  # fmt: skip


def parameter_title(path: str) -> str:
    """A parameter for a table's head: the paper's symbol, or the path where it has none."""
    return SYMBOLS.get(path.rsplit('.', 1)[-1], path)


def axis_title(path: str) -> str:
    """A parameter for an axis: what it weighs, or the path."""
    return WEIGHTS.get(path.rsplit('.', 1)[-1], path)


def value_title(path: str, value: Any) -> str:
    """A value for a table's line; omega's words are those of the paper."""
    if path.rsplit('.', 1)[-1] == 'omega':
        return OMEGA_WORDS.get(str(value), str(value))
    return str(value)


def config_title(path: str) -> str:
    """Path of a config below ``configs``, without its ending: no two files have one."""
    parts = PurePosixPath(path).with_suffix('').parts
    below = [index + 1 for index, part in enumerate(parts) if part == 'configs']
    return '/'.join(parts[below[-1] if below else 0 :])


def label_of(values: Mapping[str, Any]) -> str:
    """Values in one line: the value alone where only one parameter varies."""
    if len(values) == 1:
        ((path, value),) = values.items()
        return value_title(path, value)
    return assignment(values)


def assignment(values: Mapping[str, Any]) -> str:
    """Values in one line with the names of their parameters; ``all`` if there are none."""
    parts = [f'{parameter_title(k)} = {value_title(k, v)}' for k, v in values.items()]
    return ', '.join(parts) or 'all'


def markdown_escape(text: str) -> str:
    """Text for a cell or a line of Markdown: nothing in it starts markup or another column."""
    text = re.sub(r'([\\|`*<\[\]])', r'\\\1', ' '.join(str(text).split()))
    return re.sub(r'(?<!\w)_|_(?!\w)', r'\_', text)  # within a word it is no markup


def latex_escape(text: str) -> str:
    """Text for LaTeX: special characters escaped, the symbols of this module as mathematics."""
    return ''.join(LATEX.get(character, character) for character in str(text))


def plural(count: int, word: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f'{count} {word}' if count == 1 else f'{count} {word}s'
