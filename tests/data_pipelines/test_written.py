"""A model's captions in a plan: before or after those that came, alone if none did."""

import pytest

from data_pipelines.buckets import Bucket
from data_pipelines.clips import Caption, Clip
from data_pipelines.plan import Plan, Shard
from data_pipelines.written import with_captions

GIVEN = Caption(text="it was given")
NONE = Caption(text=None)


def plan(*captions):
    clips = [
        Clip(
            id=str(number),
            source_id="s",
            path="s.mp4",
            start_s=float(number),
            first_frame=0,
            last_frame=8,
            captions=(caption,),
            label=-1,
        )
        for number, caption in enumerate(captions)
    ]
    shards = [
        Shard(
            bucket=Bucket(frames=9, height=32, width=48, latent=(3, 4, 6)),
            split=split,
            index=0,
            count=1,
            clips=tuple(clips[place::2]),
        )
        for place, split in enumerate(("train", "validation"))
    ]
    return Plan(shards=tuple(shards), rejected=())


def rows(count, is_primary):
    facts = {"model": "m", "kind": "dense", "origin": "o", "is_primary": is_primary}
    texts = ["w0", None, *(f"w{n}" for n in range(2, count))]
    return [
        {**facts, "id": str(n), "caption": text, "reason": None if text else "EMPTY"}
        for n, text in enumerate(texts)
    ]


def texts(plan):
    return {clip.id: [c.text for c in clip.captions] for clip in plan.all_clips}


@pytest.mark.parametrize("is_primary", [True, False])
def test_both_versions_of_every_clip(is_primary):
    made = with_captions(plan(NONE, GIVEN, NONE), rows(3, is_primary))
    wanted = {"0": ["w0", None], "1": [None, "it was given"], "2": ["w2", None]}
    order = slice(None, None, 1 if is_primary else -1)
    assert texts(made) == {id: both[order] for id, both in wanted.items()}
    (null,) = [c for clip in made.all_clips for c in clip.captions if c.reason]
    assert null.made_by == {"model": "m", "kind": "dense", "reason": "EMPTY"}
    assert GIVEN.made_by == {}


@pytest.mark.parametrize("is_primary", [True, False])
def test_one_version_where_no_video_has_a_caption(is_primary):
    made = with_captions(plan(NONE, NONE), rows(2, is_primary))
    assert texts(made) == {"0": ["w0"], "1": [None]}
