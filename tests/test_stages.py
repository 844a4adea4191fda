"""Which stage a step is in, what a stage may change, and what a resume may."""

from pathlib import Path

import jax
import pytest
from ml_collections import config_dict

from videogen import build, job, notes, stages, workdir
from videogen.core.errors import ConfigError

TWO = (
    {"name": "images", "steps": 4, "data.global_batch": 16},
    {"name": "video", "steps": 6, "data.path": "b", "optimizer.learning_rate": 3e-5},
)
OF_STAGES = {"path": "x/{stage}", "global_batch": 8}


def settings(*made, steps=10, **said):
    config = config_dict.ConfigDict()
    config.data = {"path": "a", "global_batch": 8}
    config.model = {"family": "dit", "width": 32, "depth": 1, "num_heads": 2}
    config.model.mlp_width = 64
    config.optimizer = {"learning_rate": 6e-5, "warmup_steps": 2}
    config.train = {"steps": steps}
    config.stages = made
    for kind, value in said.items():
        config[kind] = value
    return build.read(config)


def test_each_stage_is_the_config_with_its_own_fields():
    whole = settings(*TWO)
    first, second = stages.of(whole)
    assert (first.data.global_batch, second.data.global_batch) == (16, 8)
    assert (first.data.path, second.data.path) == ("a", "b")
    assert (first.train.steps, second.train.steps) == (4, 10)
    assert (first.stage.start, second.stage.start) == (0, 4)
    assert (first.optimizer.learning_rate, second.optimizer.learning_rate) == (
        6e-5,
        3e-5,
    )
    # Only the first warms up, unless another asks for it.
    assert (first.optimizer.warmup_steps, second.optimizer.warmup_steps) == (2, 0)
    assert first.data_seed == whole.seed != second.data_seed
    assert first.record == second.record == whole.record
    again = build.read(config_dict.ConfigDict(whole.record))
    assert again.record == whole.record and stages.of(again) == stages.of(whole)


def test_a_stage_s_name_may_stand_in_the_paths_of_its_data():
    first, second = {"name": "low", "steps": 4}, {"name": "high", "steps": 6}
    mixed = {"data.path": "x/{stage}", "data.mix": (("y/{stage}", 0.5),)}
    whole = settings(first | mixed, second | mixed)
    data = [stage.data for stage in stages.of(whole)]
    assert [d.path for d in data] == ["x/low", "x/high"]
    assert [d.mix for d in data] == [(("y/low", 0.5),), (("y/high", 0.5),)]
    alone = build.read_plain(whole.record | {"stages": (), "data": OF_STAGES})
    with pytest.raises(ConfigError, match="a stage's name, and config.stages has none"):
        stages.of(alone)


def test_debug_is_of_the_first_stage(tmp_path):
    low = {"name": "low", "steps": 4, "data.path": "x/{stage}", "time.mean": 0.5}
    tiny, workdir = job.debug(settings(low, TWO[1]), tmp_path / "w")
    jax.config.update("jax_debug_nans", False)
    assert (tiny.data.path, tiny.time.mean, tiny.stages) == ("x/low", 0.5, ())
    assert tiny.record["data"]["path"] == "x/low" and workdir == tmp_path / "w-debug"
    assert stages.of(tiny) == (tiny,)


def test_an_override_that_a_stage_would_undo_is_refused():
    config = config_dict.ConfigDict({"data": {"path": "a", "global_batch": 8}})
    config.stages = TWO
    said = r"config.data.global_batch is set by config.stages\[0\], which would undo it"
    with pytest.raises(ConfigError, match=said):
        build.override(config, ["data.global_batch=4"])
    build.override(config, ["data.global_batch=4", "stages=()"])
    assert config.data.global_batch == 4 and config.stages == ()
    build.override(config, ["data.global_batch=8", f"stages={TWO}"])  # both are said
    assert config.data.global_batch == 8 and config.stages == TWO


def test_without_stages_there_is_one_and_it_is_the_config():
    whole = settings()
    assert stages.of(whole) == (whole,)


def test_the_run_may_end_before_its_stages_do():
    assert [s.train.steps for s in stages.of(settings(*TWO, steps=6))] == [4, 6]
    assert [s.train.steps for s in stages.of(settings(*TWO, steps=4))] == [4]


@pytest.mark.parametrize("step, index", [(0, 0), (1, 0), (4, 0), (5, 1), (10, 1)])
def test_a_checkpoint_is_of_the_stage_that_took_its_last_step(step, index):
    assert stages.trained(stages.of(settings(*TWO)), step) == index


@pytest.mark.parametrize(
    "stage, said",
    [
        ({"steps": 0}, r"config.stages\[1\].steps=0"),
        ({}, r"config.stages\[1\].steps=None"),
        ({"steps": 6, "name": "a b"}, r"config.stages\[1\].name='a b'"),
        ({"steps": 6, "name": "images"}, "two stages of one name"),
        (
            {"steps": 6, "data.pth": "b"},
            r"config.stages\[1\]: config.data.pth: no such",
        ),
        ({"steps": 6, "dta.path": "b"}, r"config.stages\[1\]: config.dta: no such sec"),
        ({"steps": 6, "seed": 3}, r"config.stages\[1\]: seed holds for the whole run"),
        ({"steps": 6, "lora.rank": 3}, "lora.rank holds for the whole run"),
        ({"steps": 6, "seed.x": 3}, "seed.x holds for the whole run"),
        ({"steps": 6, "data.path.x": 3}, "data.path.x is not a field"),
        ({"steps": 6, "data.path": 3}, r"\[1\]: config.data.path=3 is not a text"),
        ({"steps": 6, "data.mix": 3}, r"\[1\]: config.data.mix=3 is not a tuple"),
        ({"steps": 6, "data.mix": (("b",),)}, r"mix\[0\]=\('b',\) must have 2"),
        ({"steps": 6, "data": 3}, r"\[1\]: config.data=3 is no section"),
        ({"steps": 6, "data": {}}, r"\[1\]: config.data.path is missing"),
        ({"steps": 6, "train.profile_at": 5}, "profile_at holds for the whole run"),
        ({"steps": 6, "optimizer.name": "muon"}, "optimizer.name holds for the whole"),
        ({"steps": 6, "optimizer.moments": "bfloat16"}, "optimizer.moments holds for"),
        ({"steps": 5}, "config.train.steps=10, but config.stages end at 9"),
        (
            {"steps": 6, "optimizer.learning_rate": "x"},
            "learning_rate='x' is not a num",
        ),
    ],
)
def test_a_stage_that_cannot_be_is_one_line(stage, said):
    with pytest.raises(ConfigError, match=said) as error:
        stages.of(settings(TWO[0], stage))
    assert "\n" not in str(error.value)


def test_stages_that_are_no_dicts_are_named():
    with pytest.raises(ConfigError, match="config.stages=.* is not a tuple of dicts"):
        settings("images")


def test_a_stage_s_values_can_be_noted():
    said = {"stages": {"video": {"optimizer": {"learning_rate": "Table 3"}}}}
    noted = settings(*TWO, published=said)
    text = notes.describe(noted.published, noted.assumed, noted.record)
    assert "stages.video.optimizer.learning_rate = 3e-05  (Table 3)" in text
    with pytest.raises(ConfigError, match="config.published.stages.vide"):
        settings(*TWO, published={"stages": {"vide": "Table 3"}})


def changed(index, **fields):
    made = [dict(stage) for stage in TWO]
    made[index] |= {name.replace("__", "."): value for name, value in fields.items()}
    return settings(*made, steps=9)


@pytest.mark.parametrize(
    "index, fields, step, allowed",
    [
        (1, {"optimizer__learning_rate": 1e-5}, 4, True),  # has not begun
        (1, {"optimizer__learning_rate": 1e-5}, 5, False),
        (0, {"steps": 5}, 3, True),  # has not ended
        (0, {"steps": 5}, 4, False),
        (0, {"data__global_batch": 8}, 1, False),
        (1, {"data__path": "moved"}, 9, True),
    ],
)
def test_a_resume_may_change_what_has_not_been_trained(index, fields, step, allowed):
    before = settings(*TWO).record
    if allowed:
        workdir.check_config(Path("w"), before, changed(index, **fields), step)
        return
    with pytest.raises(ConfigError, match=f"config.stages.{index}"):
        workdir.check_config(Path("w"), before, changed(index, **fields), step)
