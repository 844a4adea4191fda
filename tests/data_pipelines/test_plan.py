"""The plan: buckets, hold-out and shards, a function of the tables alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.plan import make_plan

NO_CAPTION = '{"caption": null, "label": -1, "spans": []}'


def source(number):
    id = f"{number * 2654435761 % 16**8:08x}{number:08x}"
    return {"id": id, "path": f"{number}.mp4", "captions": NO_CAPTION}


def clip(source, first, length=17, fps=24.0, **changes):
    row = {
        "id": f"{source['id']}-{first}",
        "source_id": source["id"],
        "start_s": first / fps,
        "end_s": (first + length - 1) / fps,
        "seconds": (length - 1) / fps,
        "first_frame": first,
        "last_frame": first + length - 1,
        "height": 64,
        "width": 96,
        "fps": fps if length > 1 else None,
    }
    return {**row, **changes}


def plan(clips, sources=None, **changes):
    settings = EncodeSettings(text_encoder="hash", **changes)
    return make_plan(sources or [source(0)], clips, settings)


@given(count=st.integers(1, 40), stride=st.integers(1, 20))
def test_no_train_clip_shares_a_frame_with_the_held_out_one(count, stride):
    rows = [clip(source(0), n * stride) for n in range(count)]
    made = plan(rows)
    (held,) = made.clips("validation")
    assert held.id == rows[-1]["id"]
    train = made.clips("train")
    assert all(c.last_frame < held.first_frame for c in train)
    others = {row["id"] for row in rows[:-1]} - {c.id for c in train}
    assert {row["id"] for row, code, _ in made.rejected} == others
    assert all(code == "HELD_OUT" for _, code, _ in made.rejected)


def test_images_are_trained_on():
    sources = [source(n) for n in range(3)]
    images = [clip(s, 0, length=1) for s in sources]
    made = plan(images, sources, buckets="17x64x96,1x64x96")
    assert len(made.clips("train")) == 3
    assert [bucket.name for bucket in made.buckets] == ["f1_h8_w12"]


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_whole_sources_are_held_out(fraction):
    sources = [source(n) for n in range(400)]
    clips = [clip(s, first) for s in sources for first in (0, 20)]
    made = plan(clips, sources, validation_sources=fraction)
    by_split = [{c.source_id for c in made.clips(s)} for s in ("train", "validation")]
    assert by_split[0].isdisjoint(by_split[1])
    assert len(by_split[0] | by_split[1]) == 400
    assert len(by_split[1]) / 400 == pytest.approx(fraction, abs=0.07)


def test_what_has_no_bucket_is_said():
    rows = [clip(source(0), n) for n in (0, 40, 80, 120)]
    rows[0] |= {"height": 60}
    rows[1] |= {"seconds": 0.5}
    rows[2] |= {"fps": 20.0}
    codes = [(row["id"], code) for row, code, _ in plan(rows).rejected]
    expected = ("TOO_SMALL", "TOO_SHORT", "LOW_FPS")
    assert codes == [(row["id"], c) for row, c in zip(rows, expected, strict=False)]


@given(count=st.integers(2, 60), per_shard=st.integers(1, 20))
def test_shards_are_of_the_size_asked_for(count, per_shard):
    sources = [source(n) for n in range(count)]
    images = [clip(s, 0, length=1) for s in sources]
    mib = per_shard * 2 * 16 * 8 * 12 / 2**20
    made = plan(images, sources, buckets="1x64x96", shard_mib=mib * 1.0001)
    sizes = [len(shard.clips) for shard in made.shards]
    assert sum(sizes) == count and max(sizes) <= per_shard
    assert all(size == per_shard for size in sizes[:-1])
    assert [s.index for s in made.shards] == list(range(len(sizes)))
    assert {s.count for s in made.shards} == {len(sizes)}


def test_small_datasets_are_one_shard():
    rows = [clip(source(0), 20 * n) for n in range(50)]
    assert [shard.count for shard in plan(rows).shards] == [1, 1]
