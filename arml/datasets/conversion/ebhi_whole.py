"""All of EBHI-Seg without a list: whole tiles, split by case."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from arml.datasets.conversion.ebhi_masks import SHORT
from arml.datasets.ebhi import EBHIDataset

#: Stored twice without a mask, and two brown immunostains in the Normal folder.
LEFT_OUT = ('GT2012149-2-400-001', 'GT2100256-1-400-004', 'GT2100256-1-400-005')
#: Upper ends of val and test among 100 parts; the rest is train.
VAL_PART, TEST_PART = 10, 30


def plan_whole(
    files: Mapping[tuple[str, str, str], str], listed: Sequence[Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    """Give every annotated whole tile a split and a name.

    A case of the project's list stays in its split there, so that what was trained on the list
    has seen none of the test cases; any other goes by the SHA-256 of its number: 10 % val, 20 %
    test, 70 % train. No case is in two splits.

    Args:
        files: ``(folder, 'image' or 'label', file)`` of what is in the archive.
        listed: Rows with ``case`` and ``split``.

    Yields:
        Arguments of a tile: split, name (training names get their label later), folder, source.
    """
    splits = {row['case']: row['split'] for row in listed}
    for folder, kind, source in sorted(files):
        stem = source.rsplit('.', 1)[0]
        match = re.match(EBHIDataset.CASE_PATTERN, source)
        annotated = (folder, 'label', source) in files
        if kind != 'image' or not annotated or match is None or stem.endswith(LEFT_OUT):
            continue
        split = splits.get(match.group(1)) or split_by_hash(match.group(1))
        name = f'{stem}_{SHORT[folder]}+0.png'
        yield {'split': split, 'name': name, 'folder': folder, 'source': source}


def split_by_hash(case: str) -> str:
    """Split of a case by its number alone: the same on every machine and in any order."""
    part = int(hashlib.sha256(case.encode()).hexdigest(), 16) % 100
    if part < VAL_PART:
        return 'val'
    return 'test' if part < TEST_PART else 'train'
