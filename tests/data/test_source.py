"""Every row is found, with its own sidecars; every damage is named with its file."""

import json

import pytest

from data_pipelines.synthetic import wave_clip
from videogen.core.errors import ConfigError, DataError
from videogen.data import example, records
from videogen.data.manifest import load_dataset
from videogen.data.source import open_dataset
from videogen.data.writer import write_shard

BUCKET = "f2_h2_w3"


def test_all_rows_in_order_over_all_shards(sources):
    first, second = sources
    assert (len(first), len(second)) == (11, 11)
    assert [first[i].latent.id[-2:] for i in range(11)] == [
        f"{i:02d}" for i in range(11)
    ]
    for index in (0, 3, 10):
        clip = first[index]
        assert clip.latent.latent_FHWC.shape == (2, 2, 3, 4)
        assert clip.caption == wave_clip((2, 2, 3, 4), 0, index)[1]
        assert clip.text_LD.shape == (5, 12)
    with pytest.raises(IndexError, match="record 11 of 11"):
        first[11]


def test_sidecars_are_read_only_when_asked_for(mixed):
    source = open_dataset(mixed).sources("validation")[0]
    assert source[0].caption is None
    assert source[0].text_LD is None


def test_an_unknown_version_is_refused(mixed):
    with pytest.raises(ConfigError, match="data.text='v2'.*v1"):
        open_dataset(mixed).sources("train", text="v2")


def shard(directory, kind, split="train"):
    return sorted((directory / BUCKET).glob(f"{kind}-{split}*"))[1]


def test_a_cut_shard_is_refused_with_both_sizes(copy):
    path = shard(copy, "captions-v1")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    message = f"{path.name}: {size - 100} bytes, but the manifest says {size}; copy"
    with pytest.raises(DataError, match=message):
        open_dataset(copy)


def test_a_missing_shard_is_refused(copy):
    path = shard(copy, "latents")
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name}: No such file"):
        open_dataset(copy)


def test_of_many_missing_shards_the_first_is_named(copy):
    paths = sorted(copy.glob("*/latents-*"))
    for path in paths:
        path.unlink()
    bucket = load_dataset(copy).buckets[0]
    first = min(p.name for p in paths if p.parent.name == bucket)
    with pytest.raises(DataError, match=f"{bucket}/{first}: No such file"):
        open_dataset(copy)


@pytest.mark.parametrize("kind", ["latents", "text-v1"])
def test_a_flipped_bit_is_found_at_reading(copy, kind):
    path = shard(copy, kind)
    content = bytearray(path.read_bytes())
    at = content.index(b"latent" if kind == "latents" else b"text") + 30
    content[at] ^= 1
    path.write_bytes(content)
    source = open_dataset(copy).sources("train", captions="v1", text="v1")[0]
    with pytest.raises(DataError, match=f"{path.name}"):
        [source[i] for i in range(len(source))]


def replace(path, new_records, bucket):
    """Another shard in a shard's place, with a manifest that fits it."""
    info = write_shard(path, new_records)
    manifest = path.parent / "manifest.json"
    data = json.loads(manifest.read_text())
    for shards in data["splits"]["train"]["sidecars"].values():
        for entry in shards:
            if entry["file"] == path.name:
                entry["size"] = info.size
    manifest.write_text(json.dumps(data))


def test_a_sidecar_of_other_clips_is_refused(copy):
    path = shard(copy, "captions-v1")
    count = 4  # 11 rows in 3 shards: 3, 4, 4
    rows = [records.caption_record(id="other", caption="x") for _ in range(count)]
    replace(path, rows, BUCKET)
    source = open_dataset(copy).sources("train", captions="v1")[0]
    with pytest.raises(
        DataError, match="record 0: of clip other, but the latents' row"
    ):
        source[3]


def test_a_shard_with_another_count_is_refused(copy):
    path = shard(copy, "captions-v1")
    replace(path, [records.caption_record(id="a", caption="x")], BUCKET)
    source = open_dataset(copy).sources("train", captions="v1")[0]
    with pytest.raises(DataError, match="1 records, but the manifest counts 4"):
        source[3]


def test_an_empty_split_is_refused(copy):
    for manifest in copy.glob("*/manifest.json"):
        data = json.loads(manifest.read_text())
        data["splits"]["validation"].update(records=0, latents=[], sidecars={})
        manifest.write_text(json.dumps(data))
    dataset = open_dataset(copy)
    with pytest.raises(DataError, match="no records in its validation split"):
        dataset.sources("validation")


@pytest.mark.parametrize(
    "field",
    [
        {"text": [1, 2]},
        {"text/shape": b"1"},
        {"text/shape": (1.0, 1.0)},
        {"text/shape": (-1, -1)},
        {"id": b"\xff"},
    ],
)
def test_a_field_of_another_kind_is_damage_like_any(copy, field):
    """It names its place, and is replaced while training."""
    path = shard(copy, "text-v1")
    good = {"id": b"a", "text": bytes(2), "text/shape": (1, 1)}
    replace(path, [example.encode(good | field)] * 4, BUCKET)
    source = open_dataset(copy).sources("train", text="v1")[0]
    with pytest.raises(DataError, match=f"{path.name} record 0: a field is"):
        source[3]
