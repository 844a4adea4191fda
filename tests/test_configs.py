"""Every config of configs/: reads, is of a published model, and says what it assumes."""

import dataclasses
import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh

from videogen import build, notes, run, stages
from videogen.diffusion.published import PUBLISHED as OBJECTIVES
from videogen.models import FAMILIES
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

ROOT = Path(__file__).parents[1]
OURS = ("__init__", "quickstart", "quickstart_dit", "pretraining")
NAMES = sorted(p.stem for p in (ROOT / "configs").glob("*.py") if p.stem not in OURS)
PUBLISHED = {
    name: published
    for family in FAMILIES.values()
    for name, published in family.published.items()
}


def read(name):
    return build.read(build.load_config(str(ROOT / f"configs/{name}.py")))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_published_network(name):
    """Its parameters, but for tables that a recipe's stages grow."""
    last = stages.of(read(name))[-1]
    ignored = {"remat", "dtype", "attention", "position_sizes"}
    fields = {
        key: value
        for key, value in dataclasses.asdict(last.model).items()
        if key not in ignored
    }
    assert any(
        fields == {k: dataclasses.asdict(p.config)[k] for k in fields}
        for p in PUBLISHED.values()
        if type(p.config) is type(last.model)
    )
    network = Network.of(last.family.make(last.model))
    assert sum(math.prod(x.shape) for x in network.abstract().values()) > 1e7


@pytest.mark.parametrize("name", NAMES)
def test_it_says_where_its_values_come_from(name):
    settings = read(name)
    assert settings.published or settings.assumed
    text = (ROOT / f"configs/{name}.py").read_text()
    for word in (
        "Source:",
        "Recipe:",
        "Hardware:",
        "Counts:",
        "Unverified:",
        "Command:",
    ):
        assert word in text, word
    assert f"--config=configs/{name}.py" in text


def unlabelled(config):
    """Fields of the recipe that it sets, and no note speaks of, nor of their section."""
    record = config.to_dict()
    noted = {
        name
        for kind in notes.KINDS
        for name in notes.flatten(record.get(kind, {}), kind)
    }
    fields = ["data.global_batch", "data.text_dropout", "train.steps"]
    for section in RECIPE:
        fields += [f"{section}.{field}" for field in record.get(section, {})]
    return [
        field
        for field in fields
        if field not in OF_A_RUN and not {field, field.partition(".")[0]} & noted
    ]


RECIPE = ("objective", "time", "tasks", "optimizer", "plateau", "sample")
OF_A_RUN = ("sample.prompts", "sample.seed")


@pytest.mark.parametrize("name", NAMES)
def test_every_value_of_its_recipe_is_published_or_assumed(name):
    config = build.load_config(str(ROOT / f"configs/{name}.py"))
    assert not unlabelled(config)


def test_a_value_that_nothing_speaks_of_is_found():
    config = build.load_config(str(ROOT / "configs/dit_xl_2.py"))
    with config.unlocked():
        del config.published.optimizer.b2
        del config.published.time
    assert unlabelled(config) == ["time.kind", "optimizer.b2"]


@pytest.mark.parametrize("name", [n for n in NAMES if not n.endswith("_style")])
def test_its_objective_is_one_of_the_published(name):
    """The fields of config.objective and config.time, as diffusion/published.py has them."""
    settings = read(name)
    time = dataclasses.replace(settings.time, within=(0.0, 1.0))
    assert any(
        (settings.objective, time) == (row.objective, row.time)
        for row in OBJECTIVES.values()
    ) or "clean_frames" in text_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_takes_frames_is_trained_with_them(name):
    """Beside the noisy latent or in it; `sample.task` is then what training knew."""
    settings = read(name)
    channels = getattr(settings.model, "given_channels", 0)
    if channels > settings.model.latent_channels:
        assert settings.tasks.gives and settings.tasks.how == "channels"


@pytest.mark.parametrize("name", NAMES)
def test_debug_makes_it_tiny(name):
    tiny = build.shrink(read(name), 1)
    assert not tiny.published
    leaves = Network.of(tiny.family.make(tiny.model)).abstract()
    assert sum(math.prod(leaf.shape) for leaf in leaves.values()) < 1e8
    mesh = AbstractMesh((1, 2, 1, 2), AXES)
    assert tree_shardings(leaves, tiny.family.sharding, mesh).keys() == leaves.keys()


def test_debug_keeps_the_parts_of_a_batch():
    settings = read("dit_xl_2")
    optimizer = dataclasses.replace(settings.optimizer, microbatches=2)
    tiny = build.shrink(dataclasses.replace(settings, optimizer=optimizer), 4)
    assert (tiny.optimizer.microbatches, tiny.data.global_batch) == (2, 8)


def text_of(name):
    return (ROOT / f"configs/{name}.py").read_text()


def flags_of(name):
    """The overrides with which, its docstring says, it trains on our own data."""
    text = text_of(name).partition("Needs:")[2].partition("Command:")[0]
    return [x.replace('"', "") for x in re.findall(r"--config\.(\S+?)\.?\s", text)]


@pytest.mark.parametrize("name", NAMES)
def test_with_the_flags_it_names_it_takes_our_latents_and_captions(name):
    """Latents of 16 channels, MiniLM's tokens, a label and a frame rate: what data has."""
    flags = flags_of(name)
    if not flags:
        assert name in ("hunyuan_video_i2v", "kandinsky5_video_lite", "movie_gen_30b")
        return
    config = build.load_config(str(ROOT / f"configs/{name}.py"))
    build.override(config, flags)
    settings = build.read(config)
    run.check_objective(settings)
    run.check_conditions(settings)
    network = Network.of(settings.family.make(settings.model))
    f, h, w = settings.model.patch
    told = jax.ShapeDtypeStruct((2,), jnp.float32)
    given = {
        "text_BLD": jax.ShapeDtypeStruct((2, 8, 384), jnp.float32),
        "text_mask_BL": jax.ShapeDtypeStruct((2, 8), bool),
        "label_B": jax.ShapeDtypeStruct((2,), jnp.int32),
        "fps_B": jax.ShapeDtypeStruct((2,), jnp.float32),
    }
    latent = jax.ShapeDtypeStruct((2, 4 * f, 4 * h, 6 * w, 16), jnp.float32)
    out = jax.eval_shape(
        lambda params, x, t, keywords: network.apply(params, x, t, **keywords),
        *(network.abstract(), latent, told, given),
    )
    twice = settings.objective.learn_sigma or name == "sit_xl_2"
    assert out.shape[:4] == latent.shape[:4]
    assert out.shape[4] == (32 if twice or name == "open_sora_1_2" else 16)


def test_movie_gen_follows_its_table():
    """Samples seen in each stage (Table 3), within what its rounding allows."""
    seen = [1.94e9, 173.6e6, 221.2e6, 30.1e6, 16.9e6, 12.2e6, 14.6e6]
    start = 0
    for stage, want in zip(stages.of(read("movie_gen_30b")), seen, strict=True):
        got = (stage.train.steps - start) * stage.data.global_batch
        assert got == pytest.approx(want, rel=0.02), stage.stage.name
        start = stage.train.steps
    assert start == 210_000 + 185_000 + 74_500


def test_every_model_that_must_have_a_config_has_one():
    """The large and the small of each release; variants share a config's recipe."""
    without = {
        *("dit_xl_2_512", "dit_xl_4", "cosmos2_5_2b"),
        *("cogvideox_5b_i2v", "cogvideox1_5_5b_i2v", "kandinsky5_video_pro"),
        *("kandinsky5_image_lite", "hunyuan_video_no_guidance", "open_sora_2_i2v"),
        *("hunyuan_video_i2v_concat", "open_sora_2_high_compression"),
    }
    assert PUBLISHED.keys() - without == set(NAMES)
