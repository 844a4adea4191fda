"""Products with weights that a mesh keeps in parts."""

from eight_devices import run_on_eight_devices

SCRIPT = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from flax import nnx
from videogen.nn.fence import Network
from videogen.nn.linear import Linear
from videogen.parallel.mesh import MeshConfig, make_mesh

mesh = make_mesh(MeshConfig(fsdp=8))
own = NamedSharding(mesh, P("fsdp", None))
network = Network.of(lambda rngs: Linear(16, 24, bias=False, rngs=rngs))
params = jax.device_put(network.init(jax.random.key(0)), own)
x, y = (jax.random.normal(jax.random.key(i), (64, d), jnp.bfloat16)
        for i, d in ((1, 16), (2, 24)))
x, y = jax.device_put((x, y), own)

def gradients(wide):
    net = network.keeping({"kernel": P("fsdp", None)}, wide=wide)
    def loss(params, x):
        return (net.apply(params, x) * y).astype(jnp.float32).sum()
    with jax.set_mesh(mesh):
        return jax.jit(jax.grad(loss, argnums=(0, 1)))(params, x)

exact = np.asarray(x, np.float32).T @ np.asarray(y, np.float32)
(plain, x_plain), (wide, x_wide) = gradients(False), gradients(True)
np.testing.assert_array_equal(x_plain, x_wide)
assert wide["kernel"].sharding.is_equivalent_to(own, 2)
np.testing.assert_allclose(wide["kernel"], exact, atol=1e-5)
assert np.abs(plain["kernel"] - exact).max() > 1e-3  # rounded to bfloat16
print("agree")
"""


def test_gradients_of_kernels_are_summed_in_the_dtype_asked_for():
    """In that of the product, rounded, or exact to float32's own rounding."""
    assert "agree" in run_on_eight_devices(SCRIPT)
