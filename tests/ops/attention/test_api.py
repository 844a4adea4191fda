"""The entry: picks, refuses with reasons, and says what would work."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from eight_devices import run_on_eight_devices

from videogen.core.errors import ConfigError
from videogen.ops.attention import (
    AttentionPlan,
    api,
    attention,
    attention_transposed,
)
from videogen.ops.attention.local import Kernel
from videogen.ops.attention.patterns import Spatial, grid_coords
from videogen.ops.attention.xla import XlaKernel


def zeros(*shape, dtype=jnp.float32):
    return jnp.zeros(shape, dtype)


Q, KV = zeros(2, 6, 4, 8), zeros(2, 5, 2, 8)
COORDS = grid_coords((2, 3, 1))
IDS_Q, IDS_KV = zeros(2, 6, dtype=jnp.int32), zeros(2, 5, dtype=jnp.int32)
RANDOM = [
    jax.random.normal(jax.random.key(i), x.shape) for i, x in enumerate((Q, KV, KV))
]
CORE = [
    jnp.transpose(x, order)
    for x, order in zip(RANDOM, ((0, 2, 3, 1), (0, 2, 1, 3), (0, 2, 3, 1)), strict=True)
]


def refuse(*args, **keywords):
    raise NotImplementedError("needs a moon")


@pytest.mark.parametrize(
    "q, k, v, keywords, message",
    [
        (Q[0], KV, KV, {}, r"q has shape \(6, 4, 8\); needs 4 dims \(B, N, K, E\)"),
        (Q, KV[0], KV, {}, r"k has shape \(5, 2, 8\); needs 4 dims \(B, S, G, E\)"),
        (Q, KV, KV[:, :4], {}, r"k .* and v .* need the same sizes"),
        (Q[:1], KV, KV, {}, "same batch size"),
        (Q[..., :4], KV, KV, {}, "same head dim"),
        (Q[:, :, :3], KV, KV, {}, "2 key/value heads do not divide 3 query heads"),
        (Q.astype(jnp.bfloat16), KV, KV, {}, "cast them to one dtype"),
        (Q.astype(jnp.int32), KV, KV, {}, "q is int32; cast it to bfloat16"),
        (
            zeros(1, 4, 1, 300),
            zeros(1, 4, 1, 300),
            zeros(1, 4, 1, 300),
            {},
            "the head dim of q is 300; needs 1 to 256",
        ),
        (Q, KV, KV, {"scale": float("nan")}, "scale=nan; needs a finite number"),
        (Q, KV, KV, {"logit_bound": -1.0}, "logit_bound=-1.0; needs a positive"),
        (Q, KV, KV, {"q_segments_BN": IDS_Q}, "give both q_segments_BN and"),
        (Q, KV, KV, {"q_coords_BN4": COORDS[:6]}, "give both q_coords_BN4 and"),
        (
            Q,
            KV,
            KV,
            {"q_coords_BN4": COORDS[:6], "kv_coords_BS4": COORDS[:5, :3]},
            r"kv_coords_BS4 has shape \(5, 3\); needs \(5, 4\) or \(2, 5, 4\)",
        ),
        (Q, KV, KV, {"pattern": Spatial()}, r"pattern Spatial\(\) needs q_coords_BN4"),
        (
            Q,
            KV,
            KV,
            {"q_segments_BN": IDS_Q, "kv_segments_BS": IDS_Q},
            r"kv_segments_BS has shape \(2, 6\); needs \(2, 5\)",
        ),
        (
            Q,
            KV,
            KV,
            {"q_segments_BN": IDS_Q, "kv_segments_BS": IDS_KV.astype(jnp.float32)},
            "kv_segments_BS is float32; needs integer ids",
        ),
    ],
)
def test_bad_arrays_get_one_line(q, k, v, keywords, message):
    with pytest.raises(ValueError, match=message) as error:
        attention(q, k, v, **keywords)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"implementation": "refrence"}, "'refrence' does not exist .*'reference'"),
        ({"kv_chunk": 0}, "kv_chunk=0 must be at least 1"),
        ({"ulysses": 2}, "ulysses=2 needs a mesh"),
        ({"chip": "v6"}, "chip 'v6' is not known .*v6e"),
    ],
)
def test_bad_settings_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        AttentionPlan(**fields)


def test_layouts_of_the_core_are_checked_as_such():
    with pytest.raises(ValueError, match=r"q has .* 4 dims \(B, K, E, N\)"):
        attention_transposed(Q[0], KV, KV)
    q, k, v = CORE
    with pytest.raises(
        ValueError, match=r"laid out as \(B, G, S, E\) and \(B, G, E, S"
    ):
        attention_transposed(q, k, jnp.swapaxes(v, 2, 3))


def test_order_of_preference(monkeypatch):
    monkeypatch.setitem(api.IMPLEMENTATIONS, "lunar", refuse)
    o = attention(Q, KV, KV, implementation=["lunar", "reference"])
    assert o.shape == Q.shape


def test_a_slower_default_is_not_taken_in_silence(monkeypatch):
    monkeypatch.setitem(api.IMPLEMENTATIONS, "lunar", refuse)
    monkeypatch.setitem(api.DEFAULT_ORDER, "cpu", ("lunar", "reference"))
    with pytest.warns(UserWarning, match="runs as 'reference': lunar: needs a moon"):
        attention(Q, KV, KV)


def test_every_reason_is_given(monkeypatch):
    monkeypatch.setitem(api.IMPLEMENTATIONS, "lunar", refuse)
    monkeypatch.setitem(api.IMPLEMENTATIONS, "solar", refuse)
    with pytest.raises(ConfigError, match="lunar: needs a moon; solar: needs a moon"):
        attention(Q, KV, KV, implementation=("lunar", "solar"))


@pytest.mark.parametrize(
    "platform, order",
    [
        ("tpu", ["pallas_tpu", "xla"]),
        ("gpu", ["cudnn", "xla"]),
        ("cpu", ["xla"]),
        ("other", ["xla"]),
    ],
)
def test_default_order(platform, order, monkeypatch):
    asked = []

    def refuse_as(name):
        def run(*args, **keywords):
            asked.append(name)
            raise NotImplementedError

        return run

    for name in api.IMPLEMENTATIONS:
        monkeypatch.setitem(api.IMPLEMENTATIONS, name, refuse_as(name))
    device = types.SimpleNamespace(platform=platform)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    with pytest.raises(ConfigError, match="no attention implementation fits"):
        attention(Q, KV, KV)
    assert asked == order


class Breaks(XlaKernel):
    """Agrees, and then cannot."""

    def forward(self, *args, **keywords):
        raise NotImplementedError("a lowering rule")


def test_a_kernel_that_breaks_is_not_replaced_in_silence():
    with pytest.raises(RuntimeError, match="Breaks failed: a lowering rule"):
        attention(*RANDOM, implementation=(Breaks(), "xla"))


def test_without_a_tpu_its_kernel_says_so():
    assert isinstance(XlaKernel(), Kernel)
    with pytest.raises(ConfigError, match="pallas_tpu: needs a TPU"):
        attention(Q, KV, KV, implementation="pallas_tpu")


def test_a_tpu_that_is_not_known_runs_and_says_so(monkeypatch):
    """As the slower default, or not at all where the kernel was asked for by name."""
    unknown = types.SimpleNamespace(platform="tpu", device_kind="TPU v99")
    monkeypatch.setattr(jax, "devices", lambda *_: [unknown])
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    reason = "pallas_tpu: does not know the TPU 'TPU v99', only v5e, .*: chip= names"
    with pytest.warns(UserWarning, match=f"runs as 'xla': {reason}"):
        o = attention(*RANDOM)
    np.testing.assert_array_equal(o, attention(*RANDOM, implementation="xla"))
    with pytest.raises(ConfigError, match=reason):
        attention(*RANDOM, implementation="pallas_tpu")


def test_a_plan_is_a_static_argument_and_the_same_as_the_function():
    plan = AttentionPlan(implementation="xla", pattern=Spatial())
    twin = AttentionPlan(implementation="xla", pattern=Spatial())
    assert hash(plan) == hash(twin) and plan == twin
    q, k, v = RANDOM
    tokens = {"q_coords_BN4": COORDS, "kv_coords_BS4": COORDS[:5]}
    call = jax.jit(lambda plan, *x: plan(*x, **tokens), static_argnums=0)
    want = jax.jit(lambda *x: attention(*x, pattern=Spatial(), **tokens))(q, k, v)
    np.testing.assert_array_equal(call(plan, q, k, v), want)
    # A row of coordinates per row of the batch, known at run time only.
    rows = {name: jnp.stack([x, x]) for name, x in tokens.items()}
    got = jax.jit(lambda rows, *x: plan(*x, **rows))(rows, q, k, v)
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_both_entries_are_one_attention():
    tokens = {"q_segments_BN": IDS_Q, "kv_segments_BS": IDS_KV, "scale": 0.7}
    want = attention(*RANDOM, **tokens)
    got = attention_transposed(*CORE, **tokens)
    np.testing.assert_allclose(jnp.transpose(got, (0, 3, 1, 2)), want, atol=1e-6)


ON_A_MESH = """
import jax, jax.numpy as jnp, numpy as np
from dataclasses import replace
from functools import partial
from videogen.ops.attention import AttentionPlan
from videogen.ops.attention.patterns import Window, grid_coords
from videogen.parallel.mesh import MeshConfig, make_mesh

mesh = make_mesh(MeshConfig(fsdp=2, context=2, tensor=2))
plan = AttentionPlan(kv_chunk=16, pattern=Window(frames=1))
coords = grid_coords((6, 2, 3))
ids = jnp.arange(72).reshape(2, 36) // 25
q, k, v = (jax.random.normal(jax.random.key(i), (2, 36, 4, 8)) for i in range(3))
tokens = dict(q_coords_BN4=coords, kv_coords_BS4=coords, q_segments_BN=ids, kv_segments_BS=ids)
want = jax.jit(plan)(q, k, v, **tokens)
for fields in (dict(ring=2), dict(ulysses=2)):
    got = jax.jit(replace(plan, mesh=mesh, **fields))(q, k, v, **tokens)
    np.testing.assert_allclose(got, want, atol=1e-5)
    print("same", len(got.sharding.device_set))
plan, k, v = replace(plan, pattern=None), k[:, :7], v[:, :7]
on_mesh = partial(replace(plan, mesh=mesh), kv_replicated=True)
got = jax.jit(on_mesh)(q, k, v)
np.testing.assert_allclose(got, jax.jit(plan)(q, k, v), atol=1e-5)
print("same", len(got.sharding.device_set))
"""


def test_a_plan_says_how_its_mesh_is_used():
    assert run_on_eight_devices(ON_A_MESH).count("same 8") == 3


@pytest.mark.parametrize("num_keys, name", ((6, "attention"), (5, "few_keys")))
def test_what_remat_may_keep_of_an_attention(num_keys, name):
    """By remat=self_attention that of fewer keys than queries is not."""
    q, keys = Q, zeros(2, num_keys, 2, 8)
    traced = str(jax.make_jaxpr(jax.grad(lambda q: attention(q, keys, keys).sum()))(q))
    assert f"name={name}_o" in traced and f"name={name}_lse" in traced
