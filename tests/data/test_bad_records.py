"""Bad records are noted and replaced alike everywhere; too many end the run."""

import json

import ml_dtypes
import numpy as np
import pytest

from videogen.core.errors import ConfigError, DataError
from videogen.data import records
from videogen.data.bad_records import BadRecords
from videogen.data.pipeline import make_batches
from videogen.data.plan import Plan
from videogen.data.source import open_dataset


@pytest.fixture
def damaged(copy):
    """Train sources whose record 5 of the first bucket has a flipped bit."""
    whole = open_dataset(copy).sources("train", text="v1")
    first = whole[0].bucket.name
    path = sorted((copy / first).glob("latents-train*"))[1]  # rows 4 ... 7
    data = bytearray(path.read_bytes())
    needle = whole[0][5].latent.latent_FHWC.tobytes()
    at = bytes(data).index(needle)
    data[at + 3] ^= 0x40
    path.write_bytes(data)
    return open_dataset(copy).sources("train", text="v1")


def test_the_next_record_takes_the_place_of_a_bad_one(damaged, copy, tmp_path):
    bad = BadRecords(22, 0.1)
    bad.file = tmp_path / "bad.jsonl"
    for _ in range(2):
        assert bad.read(damaged[0], 5).latent.id == damaged[0][6].latent.id
        assert bad.read(damaged[0], 4).latent.id == damaged[0][4].latent.id
    (line,) = bad.file.read_text().splitlines()
    noted = json.loads(line)
    assert (noted["bucket"], noted["row"]) == (damaged[0].bucket.name, 5)
    assert "latents-train" in noted["reason"] and len(bad) == 1
    (captions, *_) = open_dataset(copy).sources("train", captions="v1")
    assert noted["id"] == captions.id(5)


def test_a_clip_that_nothing_names_is_noted_by_its_place(damaged, copy, tmp_path):
    bad = BadRecords(22, 0.1)
    bad.file = tmp_path / "bad.jsonl"
    bad.read(open_dataset(copy).sources("train")[0], 5)
    noted = json.loads(bad.file.read_text())
    assert (noted["id"], noted["row"]) == ("", 5)


def test_batches_go_on(damaged, conditioning):
    plan = Plan(
        buckets=tuple(source.bucket for source in damaged), seed=0, global_batch=8
    )
    options = {"conditioning": conditioning, "stop_step": 8}
    runs = [
        list(make_batches(damaged, plan, read=BadRecords(22, 0.1).read, **options))
        for _ in range(2)
    ]
    for one, two in zip(*runs, strict=True):
        np.testing.assert_array_equal(one["id_B"], two["id_B"])
    with pytest.raises(DataError, match="latents-train"):
        list(make_batches(damaged, plan, **options))


def test_too_many_end_the_run(damaged):
    with pytest.raises(DataError, match=r"1 bad records of 22.*max_bad_records=0"):
        BadRecords(22, 0.0).read(damaged[0], 5)
    with pytest.raises(ConfigError, match=r"max_bad_records=1\.5"):
        BadRecords(22, 1.5)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -np.nan])
def test_values_that_are_not_finite_are_found(value):
    values = np.zeros(64, ml_dtypes.bfloat16)
    largest = ml_dtypes.finfo(ml_dtypes.bfloat16).max
    values[3], values[4] = largest, -largest
    assert records.all_finite(values.tobytes()) and records.all_finite(b"")
    values[17] = value
    for into in (None, np.empty_like(values)):
        assert not records.all_finite(values.tobytes(), into)
