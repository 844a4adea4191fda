"""Near duplicates: which clip stays, whatever the order."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.dedup import find_groups, find_worse, near_pairs

RNG = np.random.default_rng(0)
HASHES = [RNG.bytes(64) for _ in range(60)]


def flipped(hash, count, seed=0):
    bits = np.unpackbits(np.frombuffer(hash, np.uint8))
    bits[np.random.default_rng(seed).choice(512, count, replace=False)] ^= 1
    return np.packbits(bits).tobytes()


def clip(id, hash, source=None, height=64, seconds=1.0):
    return {
        "id": id,
        "source_id": source or id,
        "dhash": hash.hex(),
        "height": height,
        "width": 96,
        "seconds": seconds,
    }


def find_duplicates(clips, max_distance):
    groups = find_groups(clips, max_distance)
    return find_worse([{**clip, "group": groups.get(clip["id"])} for clip in clips])


def test_unrelated_clips_are_no_pair():
    assert not list(near_pairs([h.hex() for h in HASHES], 90))


def test_the_threshold_is_exact():
    pair = [HASHES[0].hex(), flipped(HASHES[0], 49).hex()]
    assert list(near_pairs(pair, 48)) == []
    assert set(near_pairs(pair, 49)) == {(0, 1)}


def test_most_copies_are_found():
    """49 bits are what a strongly compressed copy of a real clip differs in."""
    found = [
        bool(list(near_pairs([h.hex(), flipped(h, 49, n).hex()], 90)))
        for n, h in enumerate(HASHES)
    ]
    assert np.mean(found) > 0.95


def test_the_largest_then_the_longest_then_the_smallest_id_stays():
    h = HASHES[0]
    clips = [clip("a", h), clip("b", h, height=72), clip("c", h, seconds=2.0)]
    assert find_duplicates(clips, 90) == {"a": "b", "c": "b"}
    assert find_duplicates([clips[0], clips[2]], 90) == {"a": "c"}
    assert find_duplicates([clip("b", h), clip("a", h)], 90) == {"b": "a"}


def test_clips_of_one_source_are_no_duplicates():
    h = HASHES[0]
    mine = [clip("a", h, "s"), clip("b", h, "s")]
    assert find_duplicates(mine, 90) == {}
    other = clip("c", h, "t", height=32)
    assert find_duplicates([*mine, other], 90) == {"c": "a"}


def test_flat_pictures_do_not_meet():
    flat = bytes(64)
    assert find_duplicates([clip("a", flat), clip("b", flat)], 90) == {}


@given(seed=st.integers(0, 1000))
def test_the_order_decides_nothing(seed):
    clips = [
        clip(f"{n}{k}", flipped(h, 20 * k, n), height=64 + n % 3 * k)
        for n, h in enumerate(HASHES[:6])
        for k in range(3)
    ]
    expected = find_duplicates(clips, 90)
    random.Random(seed).shuffle(clips)
    assert find_duplicates(clips, 90) == expected
    assert expected
