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
@pytest.mark.parametrize(
    "topology, gathers",
    [
        ("v5p:4x4x4", {("all-gather", "fsdp"), ("all-gather", "context")}),
        ("v6e:8x8", {("all-gather", "fsdp", "context")}),
    ],
)
def test_many_chips_gather_and_scatter_without_sums_of_wholes(topology, gathers):
    """64 of them, along both axes at once, XLA would sum whole: v6e the gradients alone."""
    chip = topology.partition(":")[0]
    report = measure(f"{__file__}:product", chip, topology=topology)
    scatters = {("reduce-scatter", "fsdp"), ("reduce-scatter", "context")}
    assert {(x.kind, *x.axes) for x in report.traffic} == gathers | scatters
    assert all(x.count == 1 for x in report.traffic)


@pytest.mark.tpu
def test_the_sparse_cores_of_tpu7x_scatter_at_once_beside_compute():
    report = measure(f"{__file__}:product", "tpu7x", topology="tpu7x:4x4x2")
    (sent,) = [x for x in report.traffic if x.kind == "reduce-scatter"]
    assert sent.axes == ("fsdp", "context") and sent.count == 1
