"""`constrain` pins activations under a mesh and is silent without one."""

import jax
import jax.numpy as jnp
from eight_devices import run_on_eight_devices

from videogen.parallel.constrain import constrain
from videogen.parallel.mesh import MeshConfig, make_mesh


def test_is_the_same_array_without_a_mesh_or_on_one_device():
    x = jnp.ones((2, 3))
    assert constrain(x, "batch tokens") is x
    with jax.set_mesh(make_mesh(MeshConfig())):
        assert constrain(x, "batch tokens") is x


SCRIPT = """
import jax, jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from videogen.core.errors import ConfigError
from videogen.parallel.constrain import constrain
from videogen.parallel.mesh import MeshConfig, make_mesh

mesh = make_mesh(MeshConfig(replica=2, fsdp=2, context=2))
with jax.set_mesh(mesh):
    y = jax.jit(lambda x: constrain(x, "batch tokens _"))(jnp.ones((4, 6, 3)))
    assert y.sharding.spec == P(("replica", "fsdp"), "context"), y.sharding
    for shape, axes, part in [
        ((4, 5, 3), "batch tokens _", "dim 1 (tokens): size 5"),
        ((4, 6), "batch tokens _", "one axis (or None) per dim"),
        ((4,), "bacth", "did you mean 'batch'?"),
    ]:
        try:
            jax.eval_shape(lambda x: constrain(x, axes), jnp.ones(shape))
        except ConfigError as error:
            assert part in str(error), error
        else:
            raise AssertionError(axes)
"""


def test_pins_over_eight_devices_and_refuses_what_does_not_divide():
    run_on_eight_devices(SCRIPT, timeout=120)
