"""Shifts by size, at the sizes that their sources name."""

import math

import pytest

from videogen.core.errors import ConfigError
from videogen.diffusion.published import PUBLISHED
from videogen.diffusion.time import TimeSampler


def shift(name, grid, num_frames=1):
    return PUBLISHED[name].time.shift_at(grid, num_frames)


def test_open_sora_2_runs_from_1_to_3_and_grows_with_the_root_of_frames():
    assert shift("open_sora_2", (1, 16, 16)) == pytest.approx(1)
    assert shift("open_sora_2", (1, 64, 64)) == pytest.approx(3)
    assert shift("open_sora_2", (33, 64, 64), 33) == pytest.approx(3 * math.sqrt(33))


def test_open_sora_1_2_is_1_for_an_image_of_512_pixels():
    assert shift("open_sora_1_2", (1, 32, 32)) == pytest.approx(1)
    grid = (15, 45, 80)  # 720 x 1280
    want = math.sqrt(720 * 1280 / 512**2) * math.sqrt(15)
    assert shift("open_sora_1_2", grid, 15) == pytest.approx(want)


def test_ltx_moves_the_mean():
    """logit(t') = logit(t) + log s, and log s is the published mean."""
    for frames, mean in ((1, 0.95), (2, 0.95 + 1.1 / 3), (4, 2.05)):
        got = math.log(shift("ltx", (frames, 32, 32), frames))
        assert got == pytest.approx(mean)


def test_cosmos_scales_sigma_with_the_root_of_latent_frames():
    assert shift("cosmos_predict1", (8, 44, 80), 16) == pytest.approx(4)


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"shift_rule": "linaer"}, "time.shift_rule='linaer'.*'linear'"),
        ({"shift_tokens": (4096, 256)}, "time.shift_tokens=.4096, 256. must be posit"),
        ({"shift_rule": "linear", "shift_range": (0.0, 1.0)}, "time.shift_range=.0.0"),
    ],
)
def test_bad_fields_are_named(fields, said):
    with pytest.raises(ConfigError, match=said):
        TimeSampler(**fields)


def test_a_line_that_falls_below_zero_is_refused():
    time = TimeSampler(shift_rule="linear", shift_range=(1.0, 60.0))
    with pytest.raises(ConfigError, match="gives -.* at 1 tokens"):
        time.shift_at((1, 1, 1), 1)
