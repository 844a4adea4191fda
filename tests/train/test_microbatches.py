"""A batch in parts: the same loss and gradients, of the same randomness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.train.microbatches import value_and_grad

PARAMS = {"a": jnp.arange(3.0)}
BATCH = {"x": jax.random.normal(jax.random.key(0), (12, 3)), "none": None}


def loss(params, batch, noise):
    return jnp.mean((batch["x"] @ params["a"] + noise) ** 2)


@pytest.mark.parametrize("parts", [1, 2, 3, 12])
def test_parts_add_up_to_the_whole(parts):
    whole = BATCH, jax.random.normal(jax.random.key(1), (12,))
    want = jax.value_and_grad(loss)(PARAMS, *whole)
    got = value_and_grad(jax.value_and_grad(loss), PARAMS, whole, parts)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, want)


def test_each_part_has_rows_of_every_device():
    """Devices hold rows that lie together; a part takes some of each one's."""
    devices, parts = 4, 3
    device_B = jnp.repeat(jnp.arange(devices), 6)
    seen = []

    def look(params, device_B):
        seen.append(device_B.shape)
        counts = jnp.sum(device_B[:, None] == jnp.arange(devices), axis=0)
        return jnp.max(jnp.abs(counts - 2.0)), params

    worst, _ = value_and_grad(look, PARAMS, (device_B,), parts)
    assert worst == 0 and seen == [(8,)]
