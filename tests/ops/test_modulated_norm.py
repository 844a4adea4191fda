"""The fused norm is the definition's, in value and in gradient; and who gets it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from eight_devices import run_on_eight_devices
from jax.sharding import AbstractDevice, AbstractMesh

from videogen.nn.modulation import modulated_norm
from videogen.ops import modulated_norm as fused

B, N, D = 2, 48, 256


def inputs(dtype=jnp.float32):
    """x, shift, scale, dy."""
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = ((B, N, D), (B, 1, D), (B, 1, D), (B, N, D))
    x, shift, scale, dy = (
        jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)
    )
    return (3.0 + 2.0 * x).astype(dtype), shift, scale, dy.astype(dtype)


@pytest.mark.parametrize("block_bytes", [2**21, 4 * D * 16])
def test_values_and_gradients_are_those_of_the_definition(monkeypatch, block_bytes):
    """In one block, and in three, whose sums over tokens are added up."""
    monkeypatch.setattr(fused, "BLOCK_BYTES", block_bytes)
    *args, dy = inputs()
    got, back = jax.vjp(lambda *x: fused.on_device(*x, interpret=True), *args)
    want, want_back = jax.vjp(modulated_norm, *args)
    np.testing.assert_allclose(got, want, atol=1e-5)
    for a, b in zip(back(dy), want_back(dy), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_bfloat16_is_rounded_where_the_definition_rounds():
    *args, dy = inputs(jnp.bfloat16)
    got, back = jax.vjp(lambda *x: fused.on_device(*x, interpret=True), *args)
    want, want_back = jax.vjp(modulated_norm, *args)
    pairs = [(got, want), *zip(back(dy), want_back(dy), strict=True)]
    for a, b in pairs:
        assert a.dtype == b.dtype
        a, b = (x.astype(jnp.float32) for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=2**-7, atol=0.02)


def mesh(kind="TPU v5 lite", **sizes):
    sizes = {"replica": 1, "fsdp": 2, "context": 1, "tensor": 1} | sizes
    device = AbstractDevice(device_kind=kind, num_cores=1, platform="tpu")
    return AbstractMesh(tuple(sizes.values()), tuple(sizes), abstract_device=device)


@pytest.mark.parametrize(
    ("ambient", "shape", "rows", "fits"),
    [
        (mesh(), (B, N, D), 1, True),
        (mesh(context=2), (B, N, D), 1, False),  # tokens are cut
        (mesh(tensor=2), (B, N, D), 1, False),  # all would be done twice
        (mesh(fsdp=4), (B, N, D), 1, False),
        (mesh(kind="cpu"), (B, N, D), 1, False),
        (mesh(), (B, N, D - 1), 1, False),
        (mesh(), (B, N + 1, D), 1, False),
        (mesh(), (B, N, D), N, False),  # a scale for each token
    ],
)
def test_who_gets_it(ambient, shape, rows, fits):
    x, vector = jnp.zeros(shape), jnp.zeros((shape[0], rows, shape[2]))
    assert not fused.fits(x, vector, vector)  # no mesh
    with jax.sharding.use_abstract_mesh(ambient):
        assert fused.fits(x, vector, vector) is fits


SCRIPT = """
import functools
import jax, jax.numpy as jnp, numpy as np
from videogen.nn.modulation import modulated_norm
from videogen.ops import modulated_norm as fused
from videogen.parallel.mesh import MeshConfig, make_mesh

fused.on_device = functools.partial(fused.on_device, interpret=True)
shapes = (4, 16, 128), (4, 1, 128), (4, 1, 128), (4, 16, 128)
*args, dy = (jax.random.normal(jax.random.key(i), x) for i, x in enumerate(shapes))

def gradients(norm):
    return jax.value_and_grad(lambda args: (norm(*args) * dy).sum())(args)

want = gradients(modulated_norm)
with jax.set_mesh(make_mesh(MeshConfig(replica=2, fsdp=2, tensor=2))):
    got = jax.jit(lambda: gradients(fused.modulated_norm))()
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), got, want)
print("agree")
"""


def test_on_a_mesh_it_is_that_of_one_device():
    assert "agree" in run_on_eight_devices(SCRIPT)
