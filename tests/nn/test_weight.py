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


ROWS = """
import re
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from videogen.nn.fence import Network
from videogen.nn.modulation import ModulationMLP
from videogen.parallel.mesh import MeshConfig, make_mesh

mesh = make_mesh(MeshConfig(replica=2, fsdp=4))
network = Network.of(lambda rngs: ModulationMLP(64, 3, init="normal", rngs=rngs))
params = network.init(jax.random.key(0))
specs = {path: P("fsdp", None) if x.ndim == 2 else P() for path, x in params.items()}
kept = network.keeping(specs)

def gradients(net, params, c, y):
    loss = lambda params, c: (net.apply(params, c) * y).sum()
    return jax.value_and_grad(loss, argnums=(0, 1))(params, c)

for rows in (8, 128):
    c = jax.random.normal(jax.random.key(1), (rows, 64))
    y = jax.random.normal(jax.random.key(2), (rows, 3, 64))
    want = gradients(network, params, c, y)
    cut = {path: NamedSharding(mesh, spec) for path, spec in specs.items()}
    placed = jax.device_put(params, cut)
    batch = jax.device_put((c, y), NamedSharding(mesh, P(("replica", "fsdp"))))
    with jax.set_mesh(mesh):
        call = jax.jit(lambda *x: gradients(kept, *x))
        text = call.lower(placed, *batch).compile().as_text()
        got = call(placed, *batch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), got, want)
    print(rows, bool(re.search(r"f32.64,192.\\S* all-gather", text)))
"""


def test_few_rows_go_to_where_a_kernel_is_kept():
    """Then nobody gathers the kernel; the gradients are those of one device either way."""
    out = run_on_eight_devices(ROWS)
    assert out.split()[-4:] == ["8", "False", "128", "True"]
