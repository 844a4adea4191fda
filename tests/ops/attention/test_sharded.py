"""Cut over batch, tokens and heads of 8 devices, attention is what it is on one."""

import os
import subprocess
import sys

import pytest

CHECK = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from videogen.ops.attention import AttentionPlan

assert jax.device_count() == 8
plan = AttentionPlan(implementation="IMPLEMENTATION", kv_chunk=16)
B, N, S, K, G, E = 4, 48, 40, 8, 4, 16
keys = jax.random.split(jax.random.key(0), 4)
q, do = (jax.random.normal(key, (B, N, K, E)) for key in keys[:2])
k, v = (jax.random.normal(key, (B, S, G, E)) for key in keys[2:])
ids_q, ids_kv = jnp.arange(B * N).reshape(B, N) % 3, jnp.arange(B * S).reshape(B, S) % 2

def run(q, k, v, do, ids_q, ids_kv):
    def call(q, k, v):
        return plan(q, k, v, q_segments_BN=ids_q, kv_segments_BS=ids_kv)
    o, pull = jax.vjp(call, q, k, v)
    return o, *pull(do)

want = jax.jit(run)(q, k, v, do, ids_q, ids_kv)
for sizes in ((8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2), (1, 2, 4)):
    if G % sizes[2] or B % sizes[0]:
        continue
    mesh = jax.sharding.Mesh(np.array(jax.devices()[: np.prod(sizes)]).reshape(sizes),
                             ("fsdp", "context", "tensor"))
    put = lambda x, *spec: jax.device_put(x, NamedSharding(mesh, P(*spec)))
    cut = [put(x, "fsdp", "context", "tensor") for x in (q, k, v, do)]
    got = jax.jit(run)(*cut, *(put(x, "fsdp", "context") for x in (ids_q, ids_kv)))
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, atol=2e-5)
    spec = NamedSharding(mesh, P("fsdp", "context", "tensor"))
    assert got[0].sharding.is_equivalent_to(spec, 4), got[0].sharding
    print("same", sizes)
"""


@pytest.mark.parametrize("implementation", ("reference", "xla"))
def test_sharded_is_unsharded(implementation):
    flags = "--xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", CHECK.replace("IMPLEMENTATION", implementation)],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("same") == 3, done.stdout
