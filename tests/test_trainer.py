"""One step's loss and gradients: the same on every mesh, gathered weights included."""

import pytest
from eight_devices import run_on_eight_devices

SCRIPT = """
import dataclasses
import jax, jax.numpy as jnp, numpy as np
from videogen import build, flagship, trainer
from videogen.parallel.mesh import MeshConfig, make_mesh
from videogen.train.microbatches import value_and_grad

config = build.load_config("configs/wan2_1_t2v_1_3b.py")
sizes = {"width": 64, "depth": 2, "num_heads": 4, "mlp_width": 128, "text_dim": 16}
config.model = {"family": "cross", "remat": "attention", "attention": "xla", **sizes}
config.data.global_batch = BATCH
shape = flagship.Shape(latent_FHWC=(3, 4, 8, 16), text_tokens=8)

def filled(leaf, seed, std=1.0):
    if leaf.dtype in (jnp.bool, jnp.int32):
        values = np.ones(leaf.shape)
    else:
        values = np.random.default_rng(seed).normal(size=leaf.shape) * std
    return jax.device_put(values.astype(leaf.dtype), leaf.sharding)

def step(mesh_config, devices, *overrides):
    here = config.copy_and_resolve_references()
    build.override(here, overrides)
    here = dataclasses.replace(build.read(here), mesh=mesh_config)
    mesh = make_mesh(mesh_config, devices)
    parts = flagship.make(here, mesh)
    batch = flagship.batch(here, shape, mesh)
    batch = {name: filled(leaf, i) for i, (name, leaf) in enumerate(batch.items())}
    # As networks are: norms scale by about 1, or all would be attended alike, and gradients
    # of keys would be what is left of sums that cancel.
    params = {
        p: filled(x, len(p), 1 / 8) + float(p.endswith("scale"))
        for p, x in parts.abstract.params.items()}

    def gradients(params):
        drawn = parts.objective.draw(batch, 0)
        loss = jax.value_and_grad(parts.objective.loss)
        return value_and_grad(loss, params, (batch, drawn), here.optimizer.microbatches)

    return trainer.under(mesh, jax.jit(gradients))(params)

loss, gradients = step(MeshConfig(fsdp=1), jax.devices()[:1], *ALL)
for sizes, overrides in CASES:
    names = ("replica", "fsdp", "context", "tensor", "ulysses", "ring")
    mesh = MeshConfig(**dict(zip(names, sizes)))
    here, theirs = step(mesh, jax.devices(), *ALL, *overrides)
    np.testing.assert_allclose(here, loss, rtol=BOUND / 10, err_msg=str(sizes))
    for path, gradient in gradients.items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(
            theirs[path], gradient, atol=BOUND * scale, err_msg=f"{sizes} {path}")
    print("agrees", sizes, overrides)
"""
PARTS = ("optimizer.microbatches=4",)
# replica, fsdp, context, tensor, and what context is cut into: ulysses, ring.
QUICK = [(1, 8, 1, 1), (1, 2, 2, 2), (2, 2, 2, 1)]
AXES = [(8, 1, 1, 1), (2, 4, 1, 1), (1, 2, 1, 4), (2, 1, 2, 2), (1, 1, 2, 4)]
CONTEXT = [
    *((1, 1, 8, 1, 1, 8), (1, 1, 8, 1, 4, 2), (1, 2, 4, 1, 4, 1), (1, 2, 4, 1, 1, 4)),
    *((2, 1, 4, 1, 2, 2), (1, 1, 4, 2, 2, 2), (1, 1, 4, 2, 1, 4)),
]


def check(cases, batch, timeout=240.0, *, of_all=(), bound=1e-5):
    """In float32, to `bound` of the largest number of each gradient.

    of_all: overrides of the one device too.
    """
    given = f"BATCH, CASES, ALL, BOUND = {batch}, {cases}, {of_all}, {bound}"
    script = f"{given}\n{SCRIPT}"
    output = run_on_eight_devices(script, timeout=timeout)
    assert output.count("agrees") == len(cases), output


def test_meshes_agree_with_one_device():
    check([(mesh, ()) for mesh in QUICK], batch=8)


@pytest.mark.slow  # 85 s each on two cores
@pytest.mark.parametrize("meshes", [AXES, CONTEXT], ids=["axes", "context"])
def test_other_meshes_agree_with_the_batch_whole_and_in_parts(meshes):
    cases = [(mesh, overrides) for mesh in meshes for overrides in ((), PARTS)]
    check(cases, batch=32, timeout=900)


@pytest.mark.slow  # 60 s
def test_quick_meshes_agree_with_the_batch_in_parts():
    check([(mesh, PARTS) for mesh in QUICK], batch=32, timeout=900)


@pytest.mark.slow  # 30 s
def test_options_of_memory_and_of_sums_change_nothing():
    """In float32, where the sums' dtype is the product's."""
    options = ["model.remat=offload", "optimizer.reduce_dtype=float32"]
    check([((1, 2, 2, 2), [option]) for option in options], batch=8)


@pytest.mark.slow  # 30 s
@pytest.mark.parametrize("name", ["int8", "fp8"])
def test_meshes_round_alike(name):
    """Nearly: where one sums in another order, a number may round to its neighbour.

    Of more samples one number counts for less.
    """
    rounded = (f"optimizer.product_dtype={name}",)
    cases = [((1, 2, 2, 2), ()), ((2, 2, 2, 1), ("optimizer.reduce_dtype=float32",))]
    check(cases, batch=128, of_all=rounded, bound=5e-3)
