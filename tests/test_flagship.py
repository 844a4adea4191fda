"""The step compiled for a pod: its shapes, and which collectives it is made of."""

from collections import Counter
from typing import Any

import jax
import pytest

from videogen import flagship
from videogen.core.errors import ConfigError
from videogen.cost.compile import measure
from videogen.models import FAMILIES
from videogen.parallel.host_memory import HOST
from videogen.parallel.mesh import make_mesh
from videogen.parallel.rules import path_name

DIT, WAN = "configs/dit_xl_2.py", "configs/wan2_1_t2v_1_3b.py"
# Shards of 128 rows or more, as those of real models: smaller ones are summed otherwise.
SIZES = (
    "model.depth=2",
    "model.width=512",
    "model.num_heads=4",
    "model.mlp_width=1024",
)


def test_a_sample_has_the_published_shape_unless_said():
    settings, shape = flagship.read(WAN)
    assert settings.family is FAMILIES["cross"]
    assert (shape.latent_FHWC, shape.text_tokens) == ((21, 60, 104, 16), 512)
    _, shape = flagship.read(WAN, latent=(1, 8, 8), text_tokens=77)
    assert (shape.latent_FHWC, shape.text_tokens) == ((1, 8, 8, 16), 77)


@pytest.mark.parametrize(
    "config, latent, said",
    [
        ("configs/quickstart.py", (), "is of no published model"),
        (WAN, (3, 4), "--latent=3x4: frames x rows x columns"),
    ],
)
def test_a_shape_that_cannot_be_is_named(config, latent, said):
    with pytest.raises(ConfigError, match=said):
        flagship.read(config, latent=latent)


# Kind, mesh axes -> how often a step on v5e:2x2 does it, and megabytes. libtpu is locked, so
# another figure is a change of ours: an operation that gathers what it need not, say. Kernels
# of the time and of modulation, half of DiT's parameters, stay where they are kept: rows of
# conditions are gathered there, and what they give is added up or gathered.
DIT_SENDS = {
    ("all-gather", ("fsdp",)): (42, 19.1),
    ("reduce-scatter", ("fsdp",)): (3, 5.3),
    ("all-reduce", ("fsdp",)): (13, 3.65),
    ("all-to-all", ("fsdp",)): (1, 0.004),
}
WAN_SENDS = {
    ("all-gather", ("fsdp", "context")): (51, 25.9),
    ("all-gather", ("fsdp",)): (6, 0.03),
    ("reduce-scatter", ("fsdp", "context")): (3, 6.4),
    ("all-reduce", ("fsdp",)): (6, 2.7),
    ("all-reduce", ("fsdp", "context")): (8, 4.3),
    ("all-reduce", ("context",)): (6, 0.3),
    ("all-to-all", ("context",)): (24, 3.1),
}
WAN_MESH = ("mesh.fsdp=2", "mesh.context=2", "model.text_dim=64")


def compiled(config, fields, latent):
    return measure(
        "videogen.flagship:step_case",
        "v5e",
        config=config,
        overrides=[*SIZES, *fields],
        latent=latent,
        text_tokens=64,
    )


@pytest.mark.tpu
@pytest.mark.parametrize(
    "config, fields, latent, expected",
    [
        (DIT, ("data.global_batch=8",), (1, 16, 16), DIT_SENDS),
        (WAN, ("data.global_batch=2", *WAN_MESH), (1, 32, 32), WAN_SENDS),
    ],
    ids=["dit", "wan"],
)
def test_the_collectives_of_a_step_are_those_that_it_needs(
    config, fields, latent, expected
):
    """Weights come whole, once a pass, in bfloat16; nothing is passed around in loops."""
    report = compiled(config, fields, latent)
    counts: Counter[Any] = Counter()
    sizes: Counter[Any] = Counter()
    for sent in report.traffic:
        if sent.axes:
            counts[sent.kind, sent.axes] += sent.count
            sizes[sent.kind, sent.axes] += sent.num_bytes
    assert counts == {route: count for route, (count, _) in expected.items()}
    for route, (_, megabytes) in expected.items():
        assert sizes[route] / 1e6 == pytest.approx(megabytes, rel=0.02, abs=0.05), route
    passes = 2 * 2 * report.facts["parameters"]  # forward and again, two bytes each
    gathered = sum(n for (kind, _), n in sizes.items() if kind == "all-gather")
    assert gathered < 1.05 * passes


@pytest.mark.tpu
def test_only_gradients_travel_between_slices():
    """Weights are gathered and gradients scattered inside a slice, then summed over all."""
    report = measure(
        "videogen.flagship:step_case",
        "v5e",
        slices=2,
        config=DIT,
        overrides=[*SIZES, "data.global_batch=16", "mesh.replica=2"],
    )
    between = [x for x in report.traffic if "replica" in x.axes]
    (summed,) = (x for x in between if x.kind == "all-reduce")
    shard = 4 * report.facts["parameters"] / 4  # float32, over four devices
    assert summed.num_bytes == pytest.approx(shard, rel=0.3)
    assert sum(x.num_bytes for x in between if x is not summed) < 0.02 * shard
    assert {x.axes for x in report.traffic if x not in between} == {("fsdp",)}


@pytest.mark.tpu
def test_gradients_cross_the_mesh_in_the_dtype_asked_for():
    """Four bytes of nearly every parameter, where `DIT_SENDS` has two of kernels."""
    fields = ("data.global_batch=8", "optimizer.reduce_dtype=float32")
    report = compiled(DIT, fields, (1, 16, 16))
    scattered = sum(x.num_bytes for x in report.traffic if x.kind == "reduce-scatter")
    assert scattered == pytest.approx(4 * report.facts["parameters"], rel=0.1)


def test_the_hosts_keep_the_moments_and_averages_of_layers():
    fields = ("optimizer.offload=True", "data.global_batch=1", "mesh.fsdp=1")
    settings, _ = flagship.read(DIT, [*SIZES, *fields])
    state = flagship.make(
        settings, make_mesh(settings.mesh, jax.devices()[:1])
    ).abstract
    kept = {
        path_name(keys)
        for keys, leaf in jax.tree.leaves_with_path(state)
        if leaf.sharding.memory_kind == HOST
    }
    trees = ("ema", "opt_state.1.0.mu", "opt_state.1.0.nu")
    blocks = [path for path in state.params if path.startswith("blocks.")]
    assert kept == {f"{tree}.{path}" for tree in trees for path in blocks}


@pytest.mark.tpu
def test_what_hosts_keep_is_not_in_the_devices_memory():
    """Blocks' inputs and results of attention; 12 of the 16 bytes of a block's parameter."""
    fields, latent = ("model.depth=4", "data.global_batch=64"), (1, 32, 32)
    plain = compiled(DIT, (*fields, "model.remat=attention"), latent)
    saved = compiled(DIT, (*fields, "model.remat=offload"), latent)
    state = compiled(
        DIT, (*fields, "model.remat=attention", "optimizer.offload=True"), latent
    )
    assert plain.bytes["host_argument"] == plain.bytes["host_temp"] == 0
    block_input = 64 / 4 * 256 * 512 * 2  # rows, tokens, width, bytes
    assert saved.bytes["host_argument"] == 0
    assert saved.bytes["host_temp"] >= 4 * 2 * block_input
    assert saved.peak_bytes < plain.peak_bytes - 4 * block_input
    assert state.bytes["host_temp"] == 0  # updated in place
    moved = state.bytes["host_argument"]
    assert 0.8 < moved / (12 * plain.facts["parameters"] / 4) < 1
    assert plain.bytes["argument"] - state.bytes["argument"] == moved
    # One layer of the four is on the devices at a time.
    assert state.peak_bytes < plain.peak_bytes - 3 / 4 * moved
