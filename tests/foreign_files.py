"""Files as other programs write them, by their own libraries where those are installed."""

import pickle
import sys
import types
import zipfile

import numpy as np
from tensorboardX.proto import tensor_pb2, tensor_shape_pb2
from tensorboardX.record_writer import RecordWriter

from videogen.data import example

TYPES = {"float32": 1, "float64": 2, "bfloat16": 14, "float16": 19}


def serialised(values):
    """As tf.io.serialize_tensor: dtype, shape, and the bytes in tensor_content."""
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in values.shape]
    return tensor_pb2.TensorProto(
        dtype=TYPES[str(values.dtype)],
        tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=dims),
        tensor_content=np.ascontiguousarray(values).tobytes(),
    ).SerializeToString()


def write_tfrecord(path, rows):
    """{name: array, or bytes} each, as MaxDiffusion's preprocessing."""
    writer = RecordWriter(str(path))
    for row in rows:
        features = {
            name: serialised(x) if isinstance(x, np.ndarray) else x
            for name, x in row.items()
        }
        writer.write(example.encode(features))
    writer.close()
    return path


class Storage:
    """Stands for a torch storage: persistent_id writes it as torch.save does."""

    def __init__(self, kind, key, values):
        self.kind, self.key, self.values = kind, key, values


class Saved:
    """A tensor as torch.save pickles it: a call of torch._utils._rebuild_tensor_v2."""

    def __init__(self, storage, shape, strides, offset=0):
        self.arguments = (storage, offset, shape, strides, False, {})

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Pickler(pickle._Pickler):  # type: ignore[name-defined]  the one that can be told
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            kind = getattr(sys.modules["torch"], obj.kind)
            return "storage", kind, obj.key, "cpu", len(obj.values)
        return None


def pt_writer(monkeypatch):
    """save(path, content, storages): writes what torch.save would, without torch."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ("FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_):
        raise AssertionError("only its name is wanted")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    torch._utils = utils  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def save(path, content, storages=()):
        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("any/data.pkl", "w") as file:
                Pickler(file, 2).dump(content)
            archive.writestr("any/byteorder", "little")
            for storage in storages:
                archive.writestr(f"any/data/{storage.key}", storage.values.tobytes())
        return path

    return save


def contiguous(storage, shape):
    strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    return Saved(storage, tuple(shape), strides)
