"""torch.save's files without torch; nothing that they name is run."""

import collections
import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
from foreign_files import Saved, Storage, contiguous

from data_pipelines.exchange.pickled import read_pickled
from data_pipelines.quarantine import Reject

VALUES = np.arange(24, dtype=np.float32)


def tensors_of(path):
    (record,) = read_pickled(str(path))
    return {name: x.values for name, x in record.tensors.items()}, record.facts


def test_tensors_by_their_dotted_keys(tmp_path, save_pt):
    floats = Storage("FloatStorage", "0", VALUES)
    brains = Storage("BFloat16Storage", "1", VALUES[:6].astype(ml_dtypes.bfloat16))
    content = {
        "latents": contiguous(floats, (1, 2, 3, 4)),
        "part": Saved(floats, (3, 2), (1, 4), offset=2),  # shared, not contiguous
        "prompt": collections.OrderedDict(context=[contiguous(brains, (2, 3))]),
        **{"caption": "a wave", "fps": 16, "none": None},
    }
    path = save_pt(tmp_path / "a.pt", content, [floats, brains])
    tensors, facts = tensors_of(path)
    assert facts == {"caption": "a wave", "fps": 16}
    np.testing.assert_array_equal(tensors["latents"], VALUES.reshape(1, 2, 3, 4))
    np.testing.assert_array_equal(tensors["part"], [[2, 6], [3, 7], [4, 8]])
    assert tensors["prompt.context.0"].dtype == ml_dtypes.bfloat16


def test_a_tensor_alone_is_the_latents(tmp_path, save_pt):
    storage = Storage("HalfStorage", "0", VALUES.astype(np.float16))
    path = save_pt(tmp_path / "a.pt", contiguous(storage, (24,)), [storage])
    tensors, _ = tensors_of(path)
    np.testing.assert_array_equal(tensors["latents"], VALUES)


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HOSTILE = {
    "posix.system": Evil(os.system, "touch hacked"),
    "__builtin__.eval": Evil(eval, "open('hacked', 'w')"),
    "__builtin__.getattr": Evil(getattr, "", "join"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_hostile_pickle_names_is_not_run(tmp_path, save_pt, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = save_pt(tmp_path / "a.pt", {"latents": HOSTILE[name]})
    with pytest.raises(Reject, match=f"asks for {name}, which is no tensor") as error:
        tensors_of(path)
    assert error.value.code == "UNTRUSTED"
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def write_zip(path, **entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"any/{name.replace('_', '/')}", content)
    return path


def circle():
    values: list = []
    values.append(values)
    return values


def bush():
    values: list = []
    for _ in range(30):
        values = [values, values]
    return values


@pytest.mark.parametrize(
    "content, code",
    [
        (pickle.dumps(circle()), "TOO_LARGE"),
        (pickle.dumps(bush()), "TOO_LARGE"),
        (b"garbage", "UNREADABLE"),
        (b"", "UNREADABLE"),
        (pickle.dumps({"a": 1})[:-3], "UNREADABLE"),
    ],
)
def test_pickles_that_do_not_end_well(tmp_path, content, code):
    path = write_zip(tmp_path / "a.pt", **{"data.pkl": content})
    with pytest.raises(Reject) as error:
        tensors_of(path)
    assert error.value.code == code


def test_tensors_beyond_their_storages(tmp_path, save_pt):
    storage = Storage("FloatStorage", "0", VALUES)
    for shape, strides in (((25,), (1,)), ((3, 12), (12, 1)), ((2,), (-1,))):
        path = save_pt(tmp_path / "a.pt", Saved(storage, shape, strides), [storage])
        with pytest.raises(Reject) as error:
            tensors_of(path)
        assert error.value.code == "BAD_TENSOR"


def test_storages_that_are_cut_gone_or_compressed(tmp_path, save_pt):
    whole, cut = (Storage("FloatStorage", "0", x) for x in (VALUES, VALUES[:5]))
    path = tmp_path / "a.pt"
    for stored, code in (([], "TRUNCATED"), ([cut], "BAD_TENSOR")):
        save_pt(path, contiguous(whole, (24,)), stored)
        with pytest.raises(Reject) as error:
            tensors_of(path)
        assert error.value.code == code
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("any/data.pkl", bytes(1 << 20))
    with pytest.raises(Reject, match="compressed"):
        tensors_of(path)


def test_a_bit_that_was_lost_shows(tmp_path, save_pt):
    storage = Storage("FloatStorage", "0", VALUES)
    path = save_pt(tmp_path / "a.pt", contiguous(storage, (24,)), [storage])
    content = path.read_bytes()
    place = content.index(VALUES.tobytes())
    path.write_bytes(content[:place] + b"\1" + content[place + 1 :])
    with pytest.raises(Reject, match="data/0: Bad CRC-32") as error:
        tensors_of(path)
    assert error.value.code == "DAMAGED"


def test_files_of_older_torch_and_others(tmp_path):
    path = tmp_path / "a.pt"
    for content in (pickle.dumps({"latents": 1}), b"PK", b""):
        path.write_bytes(content)
        with pytest.raises(Reject, match="of 1.6 or later"):
            tensors_of(path)
    with pytest.raises(Reject, match="not of torch.save"):
        tensors_of(write_zip(path, readme=b""))
    big = {"data.pkl": pickle.dumps({}), "byteorder": b"big"}
    with pytest.raises(Reject, match="big-endian"):
        tensors_of(write_zip(path, **big))
