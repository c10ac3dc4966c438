"""Write the MXNet files of this folder with MXNet itself; see README.md. Needs mxnet 1.9.1."""

import json
import struct
import sys
from pathlib import Path

import mxnet as mx
import numpy as np

TYPE_CODES = {'float32': 0, 'float16': 2}


def ramp(*shape):
    return (np.arange(np.prod(shape)).reshape(shape) / 8 - 1).astype(np.float32)


def described(arrays):
    return {
        name: {
            'dtype': str(np.asarray(array).dtype),
            'shape': list(np.shape(array)),
            'values': np.ravel(array).tolist(),
        }
        for name, array in arrays.items()
    }


def by_hand(arrays, version):
    """The layouts before the second version, which MXNet reads but no longer writes."""
    content = struct.pack('<QQQ', 0x112, 0, len(arrays))
    for array in arrays.values():
        if version == 0:
            content += struct.pack(f'<I{array.ndim}I', array.ndim, *array.shape)
        else:
            content += struct.pack('<II', 0xF993FAC8, array.ndim)
            content += struct.pack(f'<{array.ndim}q', *array.shape)
        content += struct.pack('<iii', 1, 0, TYPE_CODES[str(array.dtype)]) + array.tobytes()
    content += struct.pack('<Q', len(arrays))
    for name in arrays:
        content += struct.pack('<Q', len(name)) + name.encode()
    return content


def main(folder):
    expected = {'mxnet': mx.__version__}

    arrays = {
        'arg:conv1a_weight': ramp(2, 3, 3, 3),
        'arg:res2a_branch2a_weight': ramp(4, 2, 1, 1),
        'arg:res2b1_branch2b1_weight': ramp(2, 2, 1, 1).astype(np.float16),
        'arg:bn2a_branch2a_gamma': ramp(3),
        'arg:bn2a_branch2a_beta': ramp(3).astype(np.float64),
        'aux:bn2a_branch2a_moving_mean': ramp(3),
        'aux:bn7_moving_var': ramp(5),
        'arg:linear1000_bias': np.array([-(2**31), 0, 2**31 - 1], dtype=np.int32),
        'arg:bytes': np.array([[0, 127], [128, 255]], dtype=np.uint8),
        'arg:signed': np.array([-128, 127], dtype=np.int8),
        'arg:long': np.array([-(2**62), 2**62], dtype=np.int64),
    }
    mx.nd.save(
        str(folder / 'mxnet_written.params'),
        {name: mx.nd.array(array, dtype=array.dtype) for name, array in arrays.items()},
    )
    expected['mxnet_written.params'] = described(arrays)

    old = {
        'conv1a_weight': (np.arange(6).reshape(1, 2, 3) / 4).astype(np.float32),
        'linear1000_bias': np.array([1, -2], np.float16),
    }
    for version in (0, 1):
        path = folder / f'mxnet_read_v{version}.params'
        path.write_bytes(by_hand(old, version))
        read = mx.nd.load(str(path))
        for name, array in old.items():
            assert read[name].dtype == array.dtype
            assert (read[name].asnumpy() == array).all()
        expected[path.name] = described(old)

    mx.npx.set_np()
    numpy_like = {
        'arg:scalar': np.float32(2.5),
        'arg:empty': np.zeros((0, 3), np.float32),
        'arg:flag': np.array([True, False]),
        'arg:v3': ramp(2, 2),
    }
    mx.npx.save(
        str(folder / 'mxnet_written_np.params'),
        {name: mx.np.array(a, dtype=np.asarray(a).dtype) for name, a in numpy_like.items()},
    )
    expected['mxnet_written_np.params'] = described(numpy_like)
    (folder / 'mxnet_written.json').write_text(json.dumps(expected, indent=1) + '\n')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
