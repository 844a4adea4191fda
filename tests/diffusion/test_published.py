"""Each published objective can be written in a config, and comes out as it went in."""

import dataclasses
import json
from pathlib import Path

import pytest

from videogen import build
from videogen.core.errors import ConfigError
from videogen.diffusion.published import PUBLISHED
from videogen.run import check_objective

CONFIG = str(Path(__file__).parents[2] / "configs/quickstart.py")
DIT = {"width": 24, "depth": 1, "num_heads": 2, "mlp_width": 48}


def read(**sections):
    config = build.load_config(CONFIG)
    for name, fields in sections.items():
        config[name] = json.loads(json.dumps(fields))
    return build.read(config)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_config_can_say_it(name):
    row = PUBLISHED[name]
    fields = {
        part: dataclasses.asdict(getattr(row, part)) for part in ("objective", "time")
    }
    settings = read(**fields, sample=dataclasses.asdict(row.sampler))
    assert (settings.objective, settings.time) == (row.objective, row.time)
    assert settings.sample.sampler() == row.sampler
    check_objective(settings)


def test_the_default_is_rectified_flow():
    assert read().objective == PUBLISHED["wan"].objective


def test_a_model_with_one_time_per_clip_is_not_given_several():
    settings = read(time={"chunk_frames": 6}, model={"family": "dit", **DIT})
    with pytest.raises(ConfigError, match="chunk_frames=6 .*family='dit' takes one"):
        check_objective(settings)


def test_a_log_variance_is_of_one_time_per_clip():
    fields = {"objective": {"learn_log_variance": True}, "time": {"chunk_frames": 1}}
    with pytest.raises(ConfigError, match="learn_log_variance=True is of one time"):
        check_objective(read(**fields))


def test_heun_is_not_asked_for_a_velocity_that_is_not_there():
    settings = read(objective={"predict": "data"})
    with pytest.raises(ConfigError, match="predict='data' does not give; 'euler'"):
        check_objective(settings)
