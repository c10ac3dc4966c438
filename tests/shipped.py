"""The configs that are shipped, wherever they lie below ``configs``; bases are none."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / 'configs'
CONFIGS = sorted(file for file in FOLDER.rglob('*.py') if '_base_' not in file.parts)


def names(files: list[Path]) -> list[str]:
    """Ids for tests: no two files have one stem, but for those in ``full_supervision``."""
    return [file.relative_to(FOLDER).with_suffix('').as_posix() for file in files]
