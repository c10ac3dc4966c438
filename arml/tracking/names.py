"""What a run's curves, scores and pictures are called outside, in W&B and TensorBoard alike."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from typing import Any

#: Where a curve stands, not what it shows: part of a line of a log or of a history.
PLACES = frozenset({'iter', 'epoch', 'step', 'kind'})


def curve(
    stage: str, kind: str, iteration: int, epoch: int | None, scalars: Mapping[str, Any]
) -> dict[str, float]:
    """One point of each curve: ``<stage>/<kind>/<score>`` against ``<stage>/iter``.

    Args:
        stage: Name of the stage; empty outside a pipeline, then no prefix.
        kind: ``'train'``, ``'val'`` or ``'test'``.
        iteration: Iterations of the stage done so far.
        epoch: Epochs of the stage, begun (train) or done (val); None where there are none.
        scalars: Values by name, one number each; what is no number is left out.
    """
    prefix = f'{stage}/' if stage else ''
    point: dict[str, float] = {f'{prefix}iter': iteration}
    if epoch is not None:
        point[f'{prefix}epoch'] = epoch
    for name, value in scalars.items():
        bare = name.removeprefix(f'{kind}/')
        number = _number(value)
        if bare not in PLACES and number is not None:
            point[f'{prefix}{kind}/{bare}'] = number
    return point


def final_row(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The row of a result that the run is about: the last one of the test split."""
    tested = [row for row in rows if row.get('split') == 'test']
    return tested[-1] if tested else None


def final_scores(result: Mapping[str, Any]) -> dict[str, float]:
    """``test/<score>`` of the final row, ``<stage>/val/<score>`` of the epoch each training kept."""
    scores: dict[str, float] = {}
    for stage, best in (result.get('validation') or {}).items():
        if best and best.get('value') is not None:
            scores[f'{stage}/val/{best["metric"]}'] = best['value']
    row = final_row(result.get('rows') or [])
    if row is not None:
        scores.update({f'test/{name}': value for name, value in row['metrics'].items()})
    return scores


def score_table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """All rows of a result: header and lines; a score that a row lacks is None."""
    names = list(dict.fromkeys(name for row in rows for name in row['metrics']))
    lines = [
        [row['name'], row.get('split'), *(row['metrics'].get(name) for name in names)]
        for row in rows
    ]
    return ['row', 'split', *names], lines


def class_table(
    rows: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> tuple[list[str], list[list[Any]]]:
    """IoU and Dice of each class in each row, under both protocols: header and lines."""
    lines = []
    for row in rows:
        for protocol, prefix in (('A', ''), ('B', 'B.')):
            for name in classes:
                scores = [
                    row['metrics'].get(f'{prefix}{score}.{name}') for score in ('IoU', 'Dice')
                ]
                if scores != [None, None]:
                    lines.append([row['name'], row.get('split'), protocol, name, *scores])
    return ['row', 'split', 'protocol', 'class', 'IoU', 'Dice'], lines


def class_labels(classes: Sequence[str]) -> dict[int, str]:
    """Names of the values in a mask: the classes, background after them, 255 for what counts nowhere."""
    return {**dict(enumerate(classes)), len(classes): 'background', 255: 'not counted'}


def artifact_name(stage: str, key: str) -> str:
    """The name of a product among a tracker's artifacts: stage and key, so that equal ones are one."""
    return re.sub(r'[^A-Za-z0-9_.-]', '_', f'{stage}-{key}')


def title(parameters: Mapping[str, Any]) -> str:
    """A cell in one line."""
    return ', '.join(f'{name}={value}' for name, value in parameters.items())


def listed(text: str | None) -> list[str]:
    """The words of a list with commas, as ``WANDB_TAGS`` holds them."""
    return [word.strip() for word in (text or '').split(',') if word.strip()]


def points_of_history(stage: str, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The lines of a ``history.jsonl`` as points: of an epoch's training the mean, and validations."""
    return [curve(stage, row['kind'], row['iter'], row.get('epoch'), row) for row in rows]


def is_beyond(point: Mapping[str, float], stage: str, last: Mapping[str, Any]) -> bool:
    """Whether a point of a history is missing where curves end with some values.

    Training and validation of one epoch stand at one iteration, and one may be there without the other.

    Args:
        point: As of :func:`points_of_history`.
        stage: Its stage.
        last: The newest value of each curve there, by name.
    """
    place = f'{stage}/iter'
    end = last.get(place)
    if end is None or point[place] > end:
        return True
    return point[place] == end and any(
        not isinstance(last.get(name), Number) or not math.isclose(last[name], value, rel_tol=1e-4)
        for name, value in point.items()
        if name.startswith(f'{stage}/val/')
    )


def _number(value: Any) -> float | None:
    """A number as a builtin one; None if it is none or several."""
    if isinstance(value, bool) or not hasattr(value, 'item'):
        return value if isinstance(value, Number) and not isinstance(value, bool) else None
    return value.item() if getattr(value, 'size', None) == 1 or _elements(value) == 1 else None


def _elements(value: Any) -> int | None:
    return value.numel() if hasattr(value, 'numel') else None
