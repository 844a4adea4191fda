"""Parameters come whole by gathers, whatever the pod; rows of conditions go to theirs."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from benchmarks import aot
from videogen.cost.case import Case
from videogen.cost.compile import measure
from videogen.cost.pod import Pod
from videogen.nn.padding import pad_tokens
from videogen.parallel.compiler import options
from videogen.parallel.constrain import constrain
from videogen.parallel.gather import gather, multiply_rows
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


@pytest.mark.tpu
def test_the_sparse_cores_of_v6e_send_beside_compute_if_asked():
    asked = " ".join(f"--{flag}" for flag in aot.OFFLOADED_WEIGHTS)
    waited = [
        measure(
            f"{__file__}:product", "v6e", topology="v6e:8x8", flags=x
        ).exposed_seconds
        for x in ("", asked)
    ]
    assert waited[1] < 0.9 * waited[0]


def conditions(devices):
    """What a network is told, through a kernel cut on either side; tokens with padding."""
    mesh = make_mesh(MeshConfig(fsdp=16, context=4), devices)

    def told(c_BC, first_CX, second_XC, x_BNP):
        hidden_BX = multiply_rows(c_BC, first_CX, KEPT)
        c_BC = multiply_rows(
            jax.nn.silu(hidden_BX), second_XC, PartitionSpec(*KEPT[::-1])
        )
        return c_BC, constrain(pad_tokens(x_BNP, 5120), "batch tokens features")

    def step(*args):
        out, back = jax.vjp(told, *args)
        return out, back(out)[:3]

    def cut(shape, *spec):
        sharding = NamedSharding(mesh, PartitionSpec(*spec))
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)

    args = (
        cut((16, 2048), "fsdp"),
        cut((2048, 4096), *KEPT),
        cut((4096, 2048), *KEPT[::-1]),
        cut((16, 5070, 64), "fsdp"),
    )
    flags = options(aot.OFFLOADED_SWAPS, "tpu")
    function = jax.jit(step, compiler_options=flags)
    return Case(function=function, args=args, pod=Pod.of(mesh))


@pytest.mark.tpu
def test_conditions_and_padding_need_no_exchange():
    """libtpu fails if SparseCores are to exchange parts of rows for parts of features."""
    report = measure(f"{__file__}:conditions", "tpu7x", topology="tpu7x:4x4x2")
    assert report.traffic and all(x.kind != "all-to-all" for x in report.traffic)
