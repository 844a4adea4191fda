"""Attention across rows is that of each place alone, in value and in gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from eight_devices import run_on_eight_devices

from videogen.ops.attention import AttentionPlan
from videogen.ops.attention.across import MOST_ROWS, Across

GROUPS, ROWS, HEADS, E, PLACES = 2, 5, 2, 9, 130  # more places than lanes
SCALE = 0.3


def inputs(dtype=jnp.float32):
    """q, k, v and a cotangent."""
    shape = (GROUPS * ROWS, HEADS, E, PLACES)
    keys = jax.random.split(jax.random.key(0), 4)
    return [3.0 * jax.random.normal(key, shape, dtype) for key in keys]


def definition(q, k, v):
    q, k, v = (x.reshape(GROUPS, ROWS, HEADS, E, PLACES) for x in (q, k, v))
    scores = SCALE * jnp.einsum("bfken,bgken->bknfg", q, k, precision="highest")
    weights = jax.nn.softmax(scores, -1)
    o = jnp.einsum("bknfg,bgken->bfken", weights, v, precision="highest")
    return o.reshape(GROUPS * ROWS, HEADS, E, PLACES)


def test_values_and_gradients_are_those_of_the_definition():
    *qkv, do = inputs()
    across = Across(rows=ROWS, scale=SCALE, interpret=True)
    got, back = jax.vjp(across, *qkv)
    want, want_back = jax.vjp(definition, *qkv)
    np.testing.assert_allclose(got, want, atol=1e-5)
    for a, b in zip(back(do), want_back(do), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)  # of up to 100


def test_scores_of_any_size_do_no_harm():
    q, k, v, _ = inputs()
    across = Across(rows=ROWS, scale=SCALE, interpret=True)
    got = across(1e4 * q, k, v)
    np.testing.assert_allclose(got, definition(1e4 * q, k, v), atol=1e-4)


def test_bfloat16_rounds_the_result_alone():
    q, k, v, _ = inputs(jnp.bfloat16)
    got = Across(rows=ROWS, scale=SCALE, interpret=True)(q, k, v)
    assert got.dtype == jnp.bfloat16
    want = definition(*(x.astype(jnp.float32) for x in (q, k, v)))
    np.testing.assert_allclose(got.astype(jnp.float32), want, rtol=2**-8, atol=1e-5)


SCRIPT = """
import jax, numpy as np
from videogen.ops.attention.across import Across
from videogen.parallel.mesh import MeshConfig, make_mesh

across = Across(rows=2, scale=0.3, interpret=True)
mesh = make_mesh(MeshConfig(replica=2, fsdp=2, tensor=2))
*qkv, do = (jax.random.normal(jax.random.key(i), (8, 2, 8, 128)) for i in range(4))

def gradients(mesh):
    loss = lambda qkv: (across.partitioned(mesh, *qkv) * do).sum()
    return jax.jit(jax.value_and_grad(loss))(qkv)

check = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
jax.tree.map(check, gradients(mesh), gradients(None))
print("agree")
"""


def test_on_a_mesh_it_is_that_of_one_device():
    assert "agree" in run_on_eight_devices(SCRIPT)


@pytest.mark.parametrize(
    ("plan", "rows", "can"),
    [
        (AttentionPlan(chip="v5e"), MOST_ROWS, True),
        (AttentionPlan(chip="v5e", implementation="pallas_tpu"), 2, True),
        (AttentionPlan(chip="v5e"), MOST_ROWS + 1, False),
        (AttentionPlan(chip="v5e", implementation="xla"), 2, False),
        (AttentionPlan(), 2, False),  # of this CPU
    ],
)
def test_only_few_rows_on_tpus_are_crossed(plan, rows, can):
    assert plan.can_cross(rows) is can
