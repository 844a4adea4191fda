"""Published models: counts to the last parameter, tokens and FLOPs as their papers say."""

import dataclasses
import json
import math
import subprocess
import sys
from subprocess import PIPE

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh

from videogen.core.errors import ConfigError
from videogen.models import FAMILIES, find_published
from videogen.models.__main__ import main
from videogen.models.summary import row
from videogen.nn.fence import Network
from videogen.parallel.mesh import AXES
from videogen.parallel.rules import tree_shardings

EVERY = {
    name: (family, published)
    for family, parts in FAMILIES.items()
    for name, published in parts.published.items()
}


@pytest.mark.parametrize("name", EVERY)
def test_parameters_are_those_of_the_release(name):
    family, published = EVERY[name]
    network = Network.of(FAMILIES[family].make(published.config))
    counted = sum(math.prod(leaf.shape) for leaf in network.abstract().values())
    if published.status == "exact":
        assert counted + published.fixed == published.parameters
    else:
        assert published.assumed, f"{name} must say what is not published"
    if published.status == "approximate" and published.parameters is not None:
        assert abs(counted / published.parameters - 1) < 0.05


@pytest.mark.parametrize("name", EVERY)
def test_tables_of_weights_name_every_parameter_once(name):
    family, published = EVERY[name]
    network = Network.of(FAMILIES[family].make(published.config))
    shapes = {path: leaf.shape for path, leaf in network.abstract().items()}
    for origin, make_table in published.weights.items():
        table = make_table(published.config)
        places = list(table.places(shapes))
        assert {place.path for place in places} == shapes.keys(), origin
        first = {(place.path, place.layer): place.key for place in places}
        theirs = table.their_shapes(shapes)
        once = sum(math.prod(theirs[key]) for key in set(first.values()))
        assert once == sum(math.prod(shape) for shape in shapes.values()), origin


@pytest.mark.parametrize("name", EVERY)
def test_every_parameter_has_a_place_on_a_mesh(name):
    family, published = EVERY[name]
    parts = FAMILIES[family]
    shapes = Network.of(parts.make(published.config)).abstract()
    mesh = AbstractMesh((2, 16, 1, 8), AXES)
    shardings = tree_shardings(shapes, parts.sharding, mesh)
    for path, leaf in shapes.items():
        large = math.prod(leaf.shape) > 1e7
        assert not (large and shardings[path].is_fully_replicated), path


NEEDY = [name for name, (_, row) in EVERY.items() if row.config.needs]


@pytest.mark.parametrize("name", NEEDY)
def test_it_needs_the_conditions_that_its_config_states(name):
    family, published = EVERY[name]
    config = dataclasses.replace(published.config, depth=1, remat="none")
    network = Network.of(FAMILIES[family].make(config))
    told = {"text_BLD": (1, 8, config.text_dim), "guidance_B": (1,), "fps_B": (1,)}
    told["pooled_BX"] = (1, getattr(config, "pooled_dim", 0))
    told["image_BLX"] = (1, 3, getattr(config, "image_dim", 0))
    told |= {f"{more}_BLX": (1, 4, dim) for more, dim in config.more_texts}
    needed = {key: told[key] for key in ("text_BLD", *config.needs)}

    def run(told):
        sizes = [2 * size for size in config.patch]
        given = {
            key: jax.ShapeDtypeStruct(x, jnp.float32)
            for key, x in {
                **told,
                "latent": (1, *sizes, config.latent_channels),
            }.items()
        }
        time = jax.ShapeDtypeStruct((1,), jnp.float32)
        return jax.eval_shape(
            lambda p, t, latent, **rest: network.apply(p, latent, t, **rest),
            *(network.abstract(), time),
            **given,
        )

    assert run(needed).ndim == 5
    for key, without in config.needs.items():
        with pytest.raises(ConfigError, match=key):
            run({name: shape for name, shape in needed.items() if name != key})
        field, _, value = without.removeprefix("model.").partition("=")
        if field:
            assert key not in dataclasses.replace(config, **{field: eval(value)}).needs


@pytest.mark.parametrize("name", EVERY)
def test_what_diffusers_may_load_has_its_config_json(name):
    _, published = EVERY[name]
    told = published.diffusers_config
    assert (told is not None) == ("diffusers" in published.weights)
    if told is not None:
        assert json.loads(json.dumps(told(published.config)))["_class_name"]


# Section 2.4 of what the papers publish, or follows from their strides: tokens of video.
TOKENS = {
    "wan2_1_t2v_1_3b": 32_760,
    "wan2_1_t2v_14b": 75_600,
    "wan2_2_ti2v_5b": 27_280,
    "movie_gen_30b": 73_728,
    "ltx_video_2b": 6_144,
    "allegro": 79_200,
    "step_video_30b": 75_888,
}
# TFLOPs of a forward pass, matrix products of the blocks: derived in the same place.
TFLOPS = {
    "wan2_1_t2v_1_3b": 283,
    "wan2_1_t2v_14b": 6523,
    "wan2_2_ti2v_5b": 517,
    "movie_gen_30b": 10_201,
    "ltx_video_2b": 29,
    "allegro": 2239,
}


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_at_the_flagship_shape(name):
    assert row(name, *EVERY[name])["tokens"] == TOKENS[name]


@pytest.mark.parametrize("name", TFLOPS)
def test_flops_at_the_flagship_shape(name):
    forward = row(name, *EVERY[name])["train_pflop"] * 1e3 / 3
    assert forward == pytest.approx(TFLOPS[name], rel=0.02)


def test_the_door_prints_a_table_one_model_and_json(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(EVERY) + 1
    assert "28,576,983,168" in next(x for x in lines if x.startswith("wan2_2_t2v_a14b"))
    assert main(["movie_gen_30b", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["status"] == "approximate" and found["assumed"]
    assert main(["movie_gen_30b"]) == 0
    assert "source: arXiv 2410.13720" in capsys.readouterr().out


def test_a_reader_that_leaves_early_sees_no_traceback():
    command = [sys.executable, "-m", "videogen.models", "--json"]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE) as door:
        assert door.stdout is not None and door.stderr is not None
        door.stdout.close()
        assert not door.stderr.read()
    assert door.returncode == 0


def test_an_unknown_model_is_one_line(capsys):
    with pytest.raises(ConfigError, match="did you mean 'wan2_1_t2v_14b'"):
        find_published("wan2_1_t2v_15b")
    with pytest.raises(SystemExit):
        main(["wan2_1_t2v_15b"])
    assert capsys.readouterr().err.count("\n") == 1
