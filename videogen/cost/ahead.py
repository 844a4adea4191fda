"""A case compiled ahead of time, for devices that are not there."""

from typing import Any

import jax
import numpy as np
from jax.experimental.layout import Format, Layout
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding

from videogen.cost.case import Case

MEMORY = ("argument", "output", "temp", "alias", "host_argument", "host_temp")


def memory_of(compiled: Any) -> dict[str, int]:
    """Bytes of each kind, and the peak on the device: XLA's counts what is on hosts too."""
    found = compiled.memory_analysis()
    sizes = {name: getattr(found, f"{name}_size_in_bytes") for name in MEMORY}
    on_hosts = sizes["host_argument"] + sizes["host_temp"]
    return sizes | {"peak": found.peak_memory_in_bytes - on_hosts}


def compile_case(case: Case, devices: Any) -> Any:
    """The compiled program. Kernels that ask for the chip get the topology's."""
    first = SingleDeviceSharding(devices[0])
    args = jax.tree.map(lambda x: _placed(x, first), case.args)
    shardings = [x.sharding for x in jax.tree.leaves(args)]
    meshes = [x.mesh for x in shardings if isinstance(x, NamedSharding)]
    mesh: Any = meshes[0] if meshes else Mesh(np.array(devices[:1]), ("device",))
    formats = {}
    with jax.sharding.use_abstract_mesh(getattr(mesh, "abstract_mesh", mesh)):
        if case.row_major:
            results = jax.eval_shape(case.function, *args)
            formats["in_shardings"] = jax.tree.map(_row_major, args)
            formats["out_shardings"] = jax.tree.map(
                lambda x: _row_major(_placed(x, first)), results
            )
        jitted = case.function if case.pod else jax.jit(case.function, **formats)
        traced: Any = jitted.trace(*args)
        return traced.lower(lowering_platforms=(devices[0].platform,)).compile()


def _row_major(x: jax.ShapeDtypeStruct) -> Format:
    return Format(Layout(tuple(range(x.ndim))), x.sharding)


def _placed(x: Any, sharding: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(x, "sharding", None) or sharding
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
