"""Parameters come whole by gathers, whatever the pod."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from videogen.cost.case import Case
from videogen.cost.compile import measure
from videogen.cost.pod import Pod
from videogen.parallel.gather import gather
from videogen.parallel.mesh import MeshConfig, make_mesh

KEPT = PartitionSpec(("fsdp", "context"), None)


def product(devices):
    """x @ kernel on 64 chips, and both gradients."""
    mesh = make_mesh(MeshConfig(fsdp=16, context=4), devices)

    def multiply(x_BNC, kernel_CX):
        return x_BNC @ gather(kernel_CX, KEPT)

    def step(x_BNC, kernel_CX, dy_BNX):
        return jax.vjp(multiply, x_BNC, kernel_CX)[1](dy_BNX)

    def cut(shape, spec):
        sharding = NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=sharding)

    rows = PartitionSpec("fsdp", "context")
    x, dy = cut((16, 4096, 2048), rows), cut((16, 4096, 8192), rows)
    kernel = cut((2048, 8192), KEPT)
    out = (x.sharding, kernel.sharding)
    function = jax.jit(step, out_shardings=out)
    return Case(function=function, args=(x, kernel, dy), pod=Pod.of(mesh))


@pytest.mark.tpu
def test_many_chips_of_a_torus_gather_without_sums():
    """64 of v5p, whose three dimensions at once XLA would sum along."""
    report = measure(f"{__file__}:product", "v5p", topology="v5p:4x4x4")
    kinds = {(sent.kind, sent.axes): sent.count for sent in report.traffic}
    assert kinds["all-gather", ("fsdp",)] == kinds["all-gather", ("context",)] == 1
    assert sum(n for (kind, _), n in kinds.items() if kind == "all-reduce") == 1
