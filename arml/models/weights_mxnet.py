"""MXNet ``.params`` files (NDArray lists) without MXNet, and the names of ResNet38d in them.

Layout, little-endian: list magic (u64) and a reserved u64; number of arrays (u64); the arrays;
number of names (u64); each name as length (u64) and bytes. An array is a magic (u32); in its
second and third version a storage type (i32); number of axes and their lengths (i64 each); device
type and id (i32 each); type code (i32); the values in C order. Before the magic existed, an array
began with its number of axes, and lengths were u32.
"""

import hashlib
import math
import mmap
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arml.atomic import replacing
from arml.errors import CheckpointError

LIST_MAGIC = 0x112
ARRAY_MAGIC = {0xF993FAC8: 1, 0xF993FAC9: 2, 0xF993FACA: 3}
TYPES = {
    0: np.float32,
    1: np.float64,
    2: np.float16,
    3: np.uint8,
    4: np.int32,
    5: np.int8,
    6: np.int64,
    7: np.bool_,
    8: np.int16,
    9: np.uint16,
    10: np.uint32,
    11: np.uint64,
}
MAX_AXES = 32


class _Cursor:
    """Reads from a buffer and knows where it is, so that errors can say so."""

    def __init__(self, path: Path, buffer: memoryview) -> None:
        self.path, self.buffer, self.offset = path, buffer, 0

    def fault(self, found: str, expected: str, offset: int | None = None) -> CheckpointError:
        offset = self.offset if offset is None else offset
        return CheckpointError(
            f'{self.path}: at byte {offset} of {len(self.buffer)}: found {found}, expected '
            f'{expected}. The file is damaged, cut off or no MXNet .params file; get it again.'
        )

    def take(self, size: int, what: str) -> memoryview:
        if size > len(self.buffer) - self.offset:
            rest = len(self.buffer) - self.offset
            raise self.fault(f'{rest} bytes before the end', f'{size} for {what}')
        piece = self.buffer[self.offset : self.offset + size]
        self.offset += size
        return piece

    def number(self, code: str, what: str) -> int:
        return struct.unpack('<' + code, self.take(struct.calcsize(code), what))[0]

    def count(self, what: str, smallest: int) -> int:
        """A number of items of at least ``smallest`` bytes each, which must fit into the rest."""
        start = self.offset
        value = self.number('Q', what)
        if value * smallest > len(self.buffer) - self.offset:
            raise self.fault(f'{value} as {what}', 'a number that fits into the file', start)
        return value


def read_ndarray_list(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read the arrays of an MXNet ``.params`` file.

    Args:
        path: File written by ``mx.nd.save`` (any version), dense arrays only.

    Returns:
        Arrays by name, as stored; ``arg:`` and ``aux:`` are kept.

    Raises:
        CheckpointError: If the file is missing, or not as it should be somewhere; names the byte.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'{path}: no such file. Expected an MXNet .params file.')
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path}: the file is empty. Expected an MXNet .params file.')
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        with memoryview(mapped) as buffer:
            return _read_list(_Cursor(path, buffer))


def _read_list(cursor: _Cursor) -> dict[str, np.ndarray]:
    magic = cursor.number('Q', 'the magic of a list')
    if magic != LIST_MAGIC:
        raise cursor.fault(f'{magic:#x}', f'the magic {LIST_MAGIC:#x} of an NDArray list', 0)
    cursor.number('Q', 'the reserved number')
    arrays = [_read_array(cursor) for _ in range(cursor.count('the number of arrays', 4))]
    start = cursor.offset
    number = cursor.count('the number of names', 8)
    if number != len(arrays):
        raise cursor.fault(f'{number} names', f'{len(arrays)}, one for each array', start)
    result: dict[str, np.ndarray] = {}
    for array in arrays:
        length = cursor.count('the length of a name', 1)
        start = cursor.offset
        try:
            name = str(cursor.take(length, 'a name'), 'utf-8')
        except UnicodeDecodeError as error:
            raise cursor.fault('bytes that are no text', 'a name', start) from error
        if name in result:
            raise cursor.fault(f'the name {name!r} again', 'each name once', start)
        result[name] = array
    if cursor.offset != len(cursor.buffer):
        rest = len(cursor.buffer) - cursor.offset
        raise cursor.fault(f'{rest} surplus bytes', 'the end of the file')
    return result


def _read_array(cursor: _Cursor) -> np.ndarray:
    start = cursor.offset
    first = cursor.number('I', 'the start of an array')
    version = ARRAY_MAGIC.get(first, 0)
    if version >= 2:
        storage = cursor.number('i', 'a storage type')
        if storage != 0:
            raise cursor.fault(f'storage type {storage}', '0, a dense array', cursor.offset - 4)
    axes = first if version == 0 else cursor.number('i', 'the number of axes')
    if not 0 <= axes <= MAX_AXES:
        raise cursor.fault(f'{axes} axes', f'0 to {MAX_AXES}, or an array magic', start)
    if axes == 0 and version < 3:
        # An array without a shape: nothing else is stored of it.
        return np.zeros(0, np.float32)
    code = 'I' if version == 0 else 'q'
    shape = struct.unpack(f'<{axes}{code}', cursor.take(axes * struct.calcsize(code), 'a shape'))
    if any(length < 0 for length in shape):
        raise cursor.fault(f'shape {shape}', 'lengths of 0 or more', start)
    cursor.take(8, 'a device')
    kind = cursor.number('i', 'a type code')
    if kind not in TYPES:
        raise cursor.fault(f'type code {kind}', f'one of {sorted(TYPES)}', cursor.offset - 4)
    dtype = np.dtype(TYPES[kind]).newbyteorder('<')
    values = cursor.take(math.prod(shape) * dtype.itemsize, f'the values of shape {shape}')
    return np.frombuffer(values, dtype=dtype).reshape(shape).astype(TYPES[kind])


_SUFFIX = {
    'weight': 'weight',
    'bias': 'bias',
    'gamma': 'weight',
    'beta': 'bias',
    'moving_mean': 'running_mean',
    'moving_var': 'running_var',
}
_NAME = re.compile(
    r'(?P<kind>res|bn)(?P<stage>[2-7])(?:a|b(?P<block>\d))_branch(?P<branch>1|2a|2b1|2b2)'
    r'_(?P<suffix>weight|bias|gamma|beta|moving_mean|moving_var)'
)
_PLAIN = re.compile(
    r'(?P<module>conv1a|bn7)_(?P<suffix>weight|bias|gamma|beta|moving_mean|moving_var)'
)


def resnet38d_name(name: str) -> str | None:
    """Translate a name of the published file to ours; None for the classifier ``linear1000``.

    ``res3b1_branch2a_weight`` -> ``b3_1.conv_branch2a.weight``; ``bn6a_branch2b2_moving_var`` ->
    ``b6.bn_branch2b2.running_var``; ``arg:`` and ``aux:`` are dropped.

    Raises:
        CheckpointError: If the name is not one of that network.
    """
    stem = name.removeprefix('arg:').removeprefix('aux:')
    if stem.startswith('linear1000_'):
        return None
    if match := _PLAIN.fullmatch(stem):
        return f'{match["module"]}.{_SUFFIX[match["suffix"]]}'
    if match := _NAME.fullmatch(stem):
        block = f'b{match["stage"]}' + (f'_{match["block"]}' if match['block'] else '')
        kind = 'conv' if match['kind'] == 'res' else 'bn'
        return f'{block}.{kind}_branch{match["branch"]}.{_SUFFIX[match["suffix"]]}'
    raise CheckpointError(
        f'{name!r} is not a name of the ResNet-38 of "Wider or Deeper" (model A1), expected names '
        'such as conv1a_weight, res3b1_branch2a_weight, bn7_gamma.'
    )


def resnet38d_state_dict(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Translate the arrays of the published file to the state dict of ``ResNet38d``.

    Args:
        arrays: From :func:`read_ndarray_list`.

    Returns:
        All tensors of the network, float32; the counters of batches of BN do not exist in MXNet.

    Raises:
        CheckpointError: If a tensor is missing, surplus, of another shape or not finite.
    """
    from arml.models.backbones.resnet38 import ResNet38d

    with torch.device('meta'):
        own = ResNet38d().state_dict()
    shapes = {k: tuple(v.shape) for k, v in own.items() if not k.endswith('num_batches_tracked')}
    state: dict[str, Tensor] = {}
    faults = []
    for name, array in arrays.items():
        target = resnet38d_name(name)
        if target is None:
            continue
        if target not in shapes:
            faults.append(f'unexpected: {name} (would be {target})')
        elif array.shape != shapes[target]:
            faults.append(f'{name}: shape {array.shape}, expected {shapes[target]}')
        elif not np.isfinite(array).all():
            faults.append(f'{name}: has values that are not finite')
        else:
            state[target] = torch.from_numpy(array.astype(np.float32))
    missing = [name for name in shapes if name not in state]
    if missing:
        faults.insert(0, f'{len(missing)} missing or unusable: {", ".join(missing[:4])}')
    if faults:
        more = f' ... ({len(faults)} faults)' if len(faults) > 6 else ''
        raise CheckpointError(
            f'these are not the weights of ResNet38d: {"; ".join(faults[:6])}{more}. Expected the '
            'file ilsvrc-cls_rna-a1_cls1000_ep-0001.params of "Wider or Deeper".'
        )
    return {name: state[name] for name in shapes}


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file, hexadecimal."""
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


@dataclass
class Conversion:
    """What :func:`convert` did: hashes, number of tensors and of values."""

    source_sha256: str
    target_sha256: str
    tensors: int
    values: int


def convert(source: Path, target: Path, expected_sha256: str | None = None) -> Conversion:
    """Convert the published ``.params`` file of ResNet38d to ``.pth`` or ``.safetensors``.

    Args:
        source: The published file.
        target: File to write, whole or not at all.
        expected_sha256: Hash that the source must have, hexadecimal, if given.

    Returns:
        What was done.

    Raises:
        CheckpointError: If the source is damaged, of another network or has another hash, or the
            target has another suffix.
        ArmlError: If the target cannot be written.
    """
    from safetensors.torch import save_file

    from arml.engine.checkpoint import save

    if target.suffix not in ('.pth', '.safetensors'):
        raise CheckpointError(f'{target}: expected a name that ends in .pth or .safetensors.')
    arrays = read_ndarray_list(source)
    found = sha256(source)
    if expected_sha256 is not None and found != expected_sha256.lower():
        raise CheckpointError(
            f'{source}: has SHA-256 {found}, expected {expected_sha256.lower()}. '
            'Get the file again.'
        )
    state = resnet38d_state_dict(arrays)
    if target.suffix == '.pth':
        save({'state_dict': state}, target)
    else:
        with replacing(target) as temporary:
            save_file(state, temporary)
    values = sum(tensor.numel() for tensor in state.values())
    return Conversion(found, sha256(target), len(state), values)
