"""Image-level labels written in file names."""

from collections.abc import Sequence
from pathlib import Path

from arml.errors import DataError


def parse_label(name: str | Path, num_classes: int) -> tuple[int, ...]:
    """Read the multi-label vector between the first ``[`` and ``]`` of a file name.

    Both published formats are read: BCSS-WSSS writes ``[1101]``, LUAD-HistoSeg ``[1 0 0 1]``.

    Args:
        name: File name or path; only its last part is read.
        num_classes: K, the number of digits expected.

    Returns:
        K integers, each 0 or 1, in the order of the data set's classes.

    Raises:
        DataError: If there is no bracketed label, a character is not 0 or 1, or the number of
            digits is not K.
    """
    base = Path(name).name
    found = label_text(base)
    if found is None:
        raise DataError(
            f'{name}: no image-level label in the file name; expected {num_classes} digits in '
            f'brackets, such as {_example(num_classes)}'
        )
    digits = found.split(' ') if ' ' in found else list(found)
    if not digits or any(digit not in ('0', '1') for digit in digits):
        raise DataError(
            f'{name}: malformed image-level label [{found}]; expected {num_classes} digits 0 or '
            f'1, without separators or each separated by one blank, such as '
            f'{_example(num_classes)}'
        )
    if len(digits) != num_classes:
        raise DataError(
            f'{name}: the image-level label [{found}] has {len(digits)} digits; expected '
            f'{num_classes}, one for each class'
        )
    return tuple(int(digit) for digit in digits)


def label_text(name: str) -> str | None:
    """Return what stands between the first ``[`` and the next ``]`` of a name, or None."""
    start = name.find('[')
    end = name.find(']', start + 1)
    return None if start < 0 or end < 0 else name[start + 1 : end]


def format_label(label: Sequence[int], separator: str = '') -> str:
    """Write a label the way it stands in file names.

    Args:
        label: K integers 0 or 1.
        separator: ``''`` as in BCSS-WSSS or ``' '`` as in LUAD-HistoSeg.

    Raises:
        DataError: If a value is neither 0 nor 1.
    """
    if any(value not in (0, 1) for value in label):
        raise DataError(f'label {tuple(label)}: expected only the values 0 and 1')
    return '[' + separator.join(str(int(value)) for value in label) + ']'


def _example(num_classes: int) -> str:
    label = [1] + [0] * (num_classes - 1)
    return f'{format_label(label)} or {format_label(label, " ")}'
