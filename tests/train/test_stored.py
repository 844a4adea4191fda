"""Weights to start from: a converted folder gives what went into it, a part at a time."""

import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import SingleDeviceSharding

from videogen.core.errors import DataError
from videogen.models.exchange import CONFIG, write_folder
from videogen.train.stored import Arrays, open_stored

PARAMS = {
    "blocks.kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "out.bias": np.arange(4, dtype=np.float32),
}


@pytest.fixture
def folder(tmp_path):
    """In bfloat16 and in layers, as `convert --from` writes."""
    tensors = [
        ("blocks.kernel[0]", PARAMS["blocks.kernel"][0]),
        ("blocks.kernel[1]", PARAMS["blocks.kernel"][1]),
        ("out.bias", PARAMS["out.bias"]),
    ]
    config = {"format": 1, "model": "m", "config": {"patch": [1, 2, 2]}}
    write_folder(
        tmp_path / "w",
        ((key, x.astype(ml_dtypes.bfloat16)) for key, x in tensors),
        stem="weights",
        config=config,
        checksum=True,
    )
    return tmp_path / "w"


def test_a_converted_folder_is_read_whole(folder):
    stored = open_stored(folder)
    assert stored.shapes == {path: x.shape for path, x in PARAMS.items()}
    assert stored.model == {"patch": [1, 2, 2]}
    here = SingleDeviceSharding(jax.devices()[0])
    wanted = {
        path: jax.ShapeDtypeStruct(x.shape, jnp.float32, sharding=here)
        for path, x in PARAMS.items()
    }
    for path, value in stored.load(wanted).items():
        assert value.dtype == jnp.float32
        np.testing.assert_array_equal(value, PARAMS[path])
        np.testing.assert_array_equal(Arrays(stored)[path], PARAMS[path])


def test_its_id_follows_its_tensors(folder, tmp_path):
    """So that a run that continues on other weights is noticed."""
    first = open_stored(folder).id
    assert open_stored(folder, first).path == folder
    with pytest.raises(DataError, match="no longer holds the checkpoint"):
        open_stored(folder, "m 1")


@pytest.mark.parametrize("change", ({"format": 2}, {"format": None}))
def test_a_folder_of_another_kind_is_one_line(folder, change):
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match="is not of the exchange format 1") as error:
        open_stored(folder)
    assert "\n" not in str(error.value)
