"""Keys of products: a hash of everything that determines them, and of nothing else."""

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arml.datasets.fingerprint import file_sha256
from arml.models.weights import FROM_SCRATCH, weights_error

#: Settings that say where or how fast, not what: paths, workers, logging.
INDIFFERENT = frozenset({
    'data_root', 'work_dir', 'store', 'num_workers', 'persistent_workers', 'pin_memory',
    'prefetch_factor', 'multiprocessing_context', 'timeout', 'worker_init_fn', 'visualizer',
    'vis_backends', 'log_processor', 'log_level', 'env_cfg', 'launcher', 'lazy_init',
    'serialize_data', 'custom_imports', 'default_scope', 'model_wrapper_cfg', 'resume',
})  # fmt: skip
#: Settings that name a weight file: ``init_cfg``, a backbone's own option, a start of training.
WEIGHTS = frozenset({'checkpoint', 'load_from', 'pretrained'})
#: Digits of the key of a run: two of ten thousand runs share one with a probability of 2e-7.
RUN_DIGITS = 12
#: Stands in settings for a leaf that is set to a product of another stage.
BOUND = 'bound'


def canonical(value: Any) -> Any:
    """A value as plain JSON types without what is indifferent; weight files by their content.

    Dictionaries lose their order, tuples become lists, so that two spellings of one config agree.
    """
    if isinstance(value, dict):
        return {
            str(k): content_of(v) if k in WEIGHTS and isinstance(v, str) else canonical(v)
            for k, v in value.items()
            if k not in INDIFFERENT
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [canonical(item) for item in value]
    if isinstance(value, bool | int | str | type(None)):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return repr(value)


def content_of(path: str) -> str:
    """The SHA-256 of a weight file, so that a moved file is the same and a replaced one is not.

    A URL or the name of a model zoo stands for itself.

    Raises:
        CheckpointError: If a file is not there. Counting it by its name would quietly make another
            key, and train again what the store holds.
    """
    if '://' in path or path == BOUND:
        return path
    file = Path(path).expanduser()
    if not file.is_file():
        raise weights_error(
            path,
            'no such file',
            str(file.absolute()),
            f'{FROM_SCRATCH}; of a timm backbone pretrained=False and checkpoint=None; load_from=None',
            note='What was trained with it is found by its content, so it is needed even where all '
            'products are finished.',
        )
    stat = file.stat()
    state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return f'sha256:{_hashed(file.absolute(), state)}'


@functools.lru_cache(
    maxsize=256
)  # weight files are large, and several stages of many cells name one
def _hashed(file: Path, state: tuple[int, ...]) -> str:
    """The SHA-256 of a file's content; read again when its ``state`` has changed."""
    return file_sha256(file)


def digest(value: Any, length: int = 16) -> str:
    """The first hexadecimal digits of the SHA-256 of a value's canonical form."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(',', ':'), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def run_of(keys: Mapping[str, str]) -> str:
    """Key of a run: a hash of the keys of its stages, in order.

    Args:
        keys: By name of the stage.
    """
    return digest(list(keys.values()), RUN_DIGITS)
