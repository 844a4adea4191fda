"""One step's loss and gradients: the same on every mesh, gathered weights included."""

from eight_devices import run_on_eight_devices

SCRIPT = """
import dataclasses
import jax, jax.numpy as jnp, numpy as np
from videogen import build, flagship, trainer
from videogen.parallel.mesh import MeshConfig, make_mesh

config = build.load_config("configs/wan2_1_t2v_1_3b.py")
sizes = {"width": 64, "depth": 2, "num_heads": 4, "mlp_width": 128, "text_dim": 16}
config.model = {"family": "cross", "remat": "attention", "attention": "xla", **sizes}
config.data.global_batch = 8
settings = build.read(config)
shape = flagship.Shape(latent_FHWC=(3, 4, 8, 16), text_tokens=8)

def filled(leaf, seed):
    if leaf.dtype in (jnp.bool, jnp.int32):
        values = np.ones(leaf.shape)
    else:
        values = np.random.default_rng(seed).normal(size=leaf.shape) / 8
    return jax.device_put(values.astype(leaf.dtype), leaf.sharding)

def step(config, devices):
    mesh = make_mesh(config, devices)
    here = dataclasses.replace(settings, mesh=config)
    parts = trainer.make(here, mesh, flagship.Constants.of(16))
    batch = flagship.batch(here, shape, mesh)
    batch = {name: filled(leaf, i) for i, (name, leaf) in enumerate(batch.items())}
    params = {p: filled(x, len(p)) for p, x in parts.abstract.params.items()}
    loss = jax.value_and_grad(lambda params: parts.objective(params, batch, 0))
    return trainer.under(mesh, jax.jit(loss))(params)

loss, gradients = step(MeshConfig(fsdp=1), jax.devices()[:1])
for sizes in ((1, 8, 1, 1), (1, 2, 2, 2), (2, 2, 2, 1)):
    mesh = MeshConfig(**dict(zip(("replica", "fsdp", "context", "tensor"), sizes)))
    here, theirs = step(mesh, jax.devices())
    np.testing.assert_allclose(here, loss, rtol=1e-6)
    for path, gradient in gradients.items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(theirs[path], gradient, atol=1e-5 * scale, err_msg=path)
print("agree")
"""


def test_every_mesh_agrees_with_one_device():
    """In float32, to 1e-5 of the largest number of each gradient."""
    assert "agree" in run_on_eight_devices(SCRIPT)
