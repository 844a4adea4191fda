"""Cut over batch, tokens and heads of 8 devices, attention is what it is on one."""

import pytest
from eight_devices import run_on_eight_devices

CHECK = """
import dataclasses, jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from videogen.ops.attention import AttentionPlan
from videogen.ops.attention.patterns import Window, grid_coords

assert jax.device_count() == 8
plan = AttentionPlan(implementation="IMPLEMENTATION", kv_chunk=16, pattern=PATTERN)
B, N, S, K, G, E = 4, 48, 40, 8, 4, 16
coords_q, coords_kv = grid_coords((6, 2, 4)), grid_coords((5, 2, 4))
keys = jax.random.split(jax.random.key(0), 4)
q, do = (jax.random.normal(key, (B, N, K, E)) for key in keys[:2])
k, v = (jax.random.normal(key, (B, S, G, E)) for key in keys[2:])
ids_q, ids_kv = jnp.arange(B * N).reshape(B, N) % 3, jnp.arange(B * S).reshape(B, S) % 2

def run(plan):
    def both(q, k, v, do, ids_q, ids_kv):
        def call(q, k, v):
            return plan(q, k, v, q_coords_BN4=coords_q, kv_coords_BS4=coords_kv,
                        q_segments_BN=ids_q, kv_segments_BS=ids_kv)
        o, pull = jax.vjp(call, q, k, v)
        return o, *pull(do)
    return jax.jit(both)

want = run(plan)(q, k, v, do, ids_q, ids_kv)
for sizes in SIZES:
    mesh = jax.sharding.Mesh(np.array(jax.devices()[: np.prod(sizes)]).reshape(sizes),
                             ("fsdp", "context", "tensor"))
    put = lambda x, *spec: jax.device_put(x, NamedSharding(mesh, P(*spec)))
    cut = [put(x, "fsdp", "context", "tensor") for x in (q, k, v, do)]
    known = dataclasses.replace(plan, mesh=mesh if PLAN_KNOWS_IT else None)
    ids = (put(x, "fsdp", "context") for x in (ids_q, ids_kv))
    with jax.set_mesh(mesh) if PLAN_KNOWS_IT else jax.disable_jit(False):
        got = run(known)(*cut, *ids)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, atol=2e-5)
    spec = NamedSharding(mesh, P("fsdp", "context", "tensor"))
    assert got[0].sharding.is_equivalent_to(spec, 4), got[0].sharding
    print("same", sizes)
"""
BY_XLA = [(1, 8, 1), (2, 2, 2), (1, 2, 4)]
BY_US = [(1, 8, 1), (2, 2, 2), (4, 2, 1)]


def check(implementation, sizes, *, plan_knows_it, pattern="None"):
    script = CHECK.replace("IMPLEMENTATION", implementation)
    script = script.replace("SIZES", str(sizes)).replace("PATTERN", pattern)
    script = script.replace("PLAN_KNOWS_IT", str(plan_knows_it))
    assert run_on_eight_devices(script, timeout=120).count("same") == len(sizes)


@pytest.mark.parametrize("implementation", ("reference", "xla"))
def test_sharded_by_xla_is_unsharded(implementation):
    check(implementation, BY_XLA, plan_knows_it=False)


def test_sharded_by_the_plan_is_unsharded():
    window = "Window(frames=1, rows=1, columns=2)"
    check("xla", BY_US, plan_knows_it=True, pattern=window)
