"""Which bucket a clip goes to, and what a list of buckets may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.buckets import choose, parse_buckets
from videogen.core.errors import ConfigError

STRIDES = (4, 8, 8)
BUCKETS = parse_buckets("17x64x96,17x96x64,33x64x96,1x128x128,1x64x96", STRIDES)


def chosen(height, width, frames, fps=24.0):
    seconds = (frames - 1) / fps
    found = choose(BUCKETS, height=height, width=width, seconds=seconds, fps=fps)
    return (
        found if isinstance(found, str) else (found.frames, found.height, found.width)
    )


@pytest.mark.parametrize(
    "clip, bucket",
    [
        ((64, 96, 17), (17, 64, 96)),
        ((720, 1280, 40), (33, 64, 96)),  # more frames first
        ((1280, 720, 17), (17, 96, 64)),  # then the aspect
        ((1000, 1000, 1), (1, 128, 128)),
        ((800, 1280, 3), (1, 64, 96)),  # too short for a video: its first frame
        ((64, 90, 40), "TOO_SMALL"),
    ],
)
def test_a_clip_goes_to_the_largest_it_fills(clip, bucket):
    assert chosen(*clip) == bucket


@given(height=st.integers(1, 300), width=st.integers(1, 300), frames=st.integers(1, 80))
def test_nothing_is_enlarged_or_made_longer(height, width, frames):
    found = chosen(height, width, frames)
    if isinstance(found, str):
        assert found in ("TOO_SMALL", "TOO_SHORT")
    else:
        assert all(a <= b for a, b in zip(found, (frames, height, width), strict=True))


def test_too_short_for_all():
    (bucket,) = parse_buckets("17x64x96", STRIDES)
    assert choose([bucket], height=64, width=96, seconds=0.5, fps=24) == "TOO_SHORT"


@pytest.mark.parametrize(
    "text, word",
    [
        ("17x64", "no frames x height x width"),
        ("", "no frames x height x width"),
        ("16x64x96", "13 or 17 would work"),
        ("17x60x96", "height=60"),
        ("17x64x96,17x64x96", "twice"),
    ],
)
def test_buckets_that_cannot_be_meant(text, word):
    with pytest.raises(ConfigError, match=word):
        parse_buckets(text, STRIDES)


def test_names_and_sizes_are_those_of_the_latents():
    assert [b.name for b in BUCKETS][:2] == ["f5_h8_w12", "f5_h12_w8"]
    assert BUCKETS[0].latent_size(16) == 2 * 16 * 5 * 8 * 12
