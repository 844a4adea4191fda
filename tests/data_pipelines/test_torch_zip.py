"""Tensors come out of a torch.save file as they went in; nothing else comes out at all."""

import collections
import io
import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from data_pipelines.torch_zip import read_torch_zip
from videogen.core.errors import DataError

NAMES = {np.dtype(np.float32): "FloatStorage", np.dtype(np.int64): "LongStorage"}
NAMES[np.dtype(ml_dtypes.bfloat16)] = "BFloat16Storage"


class Global:
    """Pickled as a name, as PyTorch would write it."""

    def __init__(self, name):
        self.name = name


class Call:
    """Pickled as a call of a name."""

    def __init__(self, name, *arguments):
        self.name, self.arguments = name, arguments


class Storage:
    def __init__(self, key, values, count=None):
        self.key, self.values = key, np.asarray(values)
        self.count = len(self.values) if count is None else count


class Writer(pickle._Pickler):
    """A pickler that can name what is not installed."""

    def persistent_id(self, item):
        if isinstance(item, Storage):
            kind = Global(f"torch {NAMES[item.values.dtype]}")
            return "storage", kind, item.key, "cpu", item.count
        return None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(b"c" + obj.name.replace(" ", "\n").encode() + b"\n")
        elif isinstance(obj, Call):
            self.save(Global(obj.name))
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def tensor(storage, offset, shape, stride):
    hooks = collections.OrderedDict()
    name = "torch._utils _rebuild_tensor_v2"
    return Call(name, storage, offset, shape, stride, False, hooks)


def write(path, content, storages=(), compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    Writer(file, protocol=2).dump(content)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", file.getvalue())
        for storage in storages:
            archive.writestr(f"archive/data/{storage.key}", storage.values.tobytes())
    return path


def test_tensors_are_views_of_their_storages(tmp_path):
    floats = Storage("0", np.arange(24, dtype=np.float32))
    whole = Storage("1", np.arange(5))
    brain = Storage("2", np.arange(4).astype(ml_dtypes.bfloat16))
    content = {
        "step": 7,
        "names": ["a", None, True],
        "model": collections.OrderedDict(
            turned=tensor(floats, 0, (3, 8), (1, 3)),
            part=tensor(floats, 20, (2, 2), (2, 1)),
            scalar=tensor(whole, 4, (), ()),
            empty=tensor(whole, 5, (0, 3), (3, 1)),
            parameter=Call(
                "torch._utils _rebuild_parameter", tensor(brain, 0, (4,), (1,)), True
            ),
        ),
    }
    found = read_torch_zip(write(tmp_path / "a.pt", content, [floats, whole, brain]))
    assert found["step"] == 7 and found["names"] == ["a", None, True]
    model = found["model"]
    numbers = np.arange(24, dtype=np.float32)
    np.testing.assert_array_equal(model["turned"], numbers.reshape(8, 3).T)
    np.testing.assert_array_equal(model["part"], [[20, 21], [22, 23]])
    assert model["scalar"] == 4 and model["scalar"].dtype == np.int64
    assert model["empty"].shape == (0, 3)
    assert model["parameter"].dtype == ml_dtypes.bfloat16
    with pytest.raises(ValueError, match="read-only"):
        model["part"][:] = 0


@pytest.mark.parametrize(
    "name",
    [
        *("posix system", "builtins eval", "builtins getattr", "os mkdir"),
        *("torch.hub load", "torch UntypedStorage", "numpy ndarray"),
        *("collections Counter", "torch._utils _rebuild_device_tensor_from_numpy"),
    ],
)
def test_whatever_else_is_named_is_refused_and_not_run(tmp_path, name):
    made = tmp_path / "made"
    path = write(tmp_path / "a.pt", {"x": Call(name, os.fspath(made))})
    dotted = name.replace(" ", ".")
    with pytest.raises(DataError, match=f"a.pt: .*names {dotted}, which is refused"):
        read_torch_zip(path)
    assert not made.exists()


FLOATS = Storage("0", np.arange(4, dtype=np.float32))


@pytest.mark.parametrize(
    "bad, words",
    [
        (tensor(FLOATS, 1, (4,), (1,)), "needs 5 numbers of 4"),
        (tensor(FLOATS, 0, (2, 2), (3, 1)), "needs 5 numbers of 4"),
        (tensor(FLOATS, 3, (2,), (-1,)), "stride"),
        (tensor(FLOATS, 0, (2,), (1, 1)), "stride"),
        (tensor(Storage("0", FLOATS.values, 9), 0, (9,), (1,)), "buffer is smaller"),
        (tensor(Storage("0", FLOATS.values, 2), 0, (2,), (1,)), "of 16 bytes"),
        (tensor(Storage("1", FLOATS.values), 0, (4,), (1,)), "no item named"),
    ],
)
def test_tensors_that_reach_too_far_are_refused(tmp_path, bad, words):
    path = write(tmp_path / "a.pt", bad, [FLOATS])
    with pytest.raises(DataError, match=words):
        read_torch_zip(path)


def test_what_is_no_such_file(tmp_path):
    path = tmp_path / "a.pt"
    with pytest.raises(DataError, match="No such file"):
        read_torch_zip(path)
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(DataError, match="not a zip"):
        read_torch_zip(path)
    write(path, {"a": 1}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="compressed"):
        read_torch_zip(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b", b"")
    with pytest.raises(DataError, match="0 data.pkl in it"):
        read_torch_zip(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}")
    with pytest.raises(DataError, match="a.pt"):
        read_torch_zip(path)
