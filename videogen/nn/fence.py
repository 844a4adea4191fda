"""The fence: flax on this side, plain {dotted path: array} on the other.

Nothing else in the project splits or merges a module, so a change of flax (or of
framework) ends here. Modules hold parameters only: no RNG, no counters, no caches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
from flax import nnx
from jax.sharding import PartitionSpec

from videogen.core.types import Array, Params


@dataclass(frozen=True, eq=False)  # hashed by identity: may be a static argument
class Network:
    """A network as pure functions of its parameters. Made by `Network.of`."""

    make: Callable[[nnx.Rngs], nnx.Module]
    structure: Any  # the module without its arrays
    variables: dict[str, nnx.Variable]  # abstract, by dotted path
    # Where a mesh keeps each, by dotted path (nn/weight.py).
    kept: Mapping[str, PartitionSpec] = field(default_factory=dict, kw_only=True)
    wide: bool = field(default=False, kw_only=True)
    product_dtype: str = field(default="compute", kw_only=True)

    @classmethod
    def of(cls, make: Callable[[nnx.Rngs], nnx.Module]) -> "Network":
        """The network that `make(rngs)` builds. Allocates nothing."""
        module = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
        structure, state = nnx.split(module)
        variables = _flatten(state)
        for path, variable in variables.items():
            assert isinstance(variable, nnx.Param), f"{path} is a {type(variable)}"
        return cls(make, structure, variables)

    def init(self, key: Array) -> dict[str, Array]:
        """New parameters, a pure function of the key: jit it under `out_shardings`."""
        _, state = nnx.split(self.make(nnx.Rngs(key)))
        return {path: variable[...] for path, variable in _flatten(state).items()}

    def abstract(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and dtype of every parameter."""
        return {
            path: jax.ShapeDtypeStruct(variable.shape, variable.dtype)
            for path, variable in self.variables.items()
        }

    def keeping(
        self,
        kept: Mapping[str, PartitionSpec],
        *,
        wide: bool = False,
        product_dtype: str = "compute",
    ) -> "Network":
        """The same network, which knows where a mesh keeps its parameters (`nn/weight.py`).

        wide: gradients of kernels are summed over the mesh in float32.
        product_dtype: of tokens in the blocks; one of quantized.DTYPES rounds them.
        """
        return replace(self, kept=kept, wide=wide, product_dtype=product_dtype)

    def apply(
        self, params: Params, *args: Any, method: str = "__call__", **kwargs: Any
    ) -> Any:
        """A method of the module under these parameters. ValueError if paths differ."""
        if params.keys() != self.variables.keys():
            missing = sorted(self.variables.keys() - params.keys())
            extra = sorted(params.keys() - self.variables.keys())
            raise ValueError(f"parameters missing: {missing}, unknown: {extra}")
        state = nnx.from_flat_state(
            (
                tuple(_parse(part) for part in path.split(".")),
                variable.replace(params[path], **self._told(path, variable)),
            )
            for path, variable in self.variables.items()
        )
        return getattr(nnx.merge(self.structure, state), method)(*args, **kwargs)

    def _told(self, path: str, variable: nnx.Variable) -> dict[str, Any]:
        in_blocks = len(variable.shape) == 3  # a stack of matrices
        return {
            "kept": self.kept.get(path),
            "wide": self.wide,
            "product_dtype": self.product_dtype if in_blocks else "compute",
        }


def _flatten(state: Any) -> dict[str, Any]:
    flat = nnx.to_flat_state(state)
    return {".".join(str(part) for part in path): variable for path, variable in flat}


def _parse(part: str) -> str | int:
    """A path's part: an attribute's name, or the index of a list (unstacked layers)."""
    return int(part) if part.isdigit() else part
