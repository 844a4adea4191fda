"""Low-rank adapters beside a network (LoRA, arXiv 2106.09685, section 4.1).

A kernel W (layers..., in, out) that a target pattern finds is used as

    W + (alpha / rank) a b,    a (layers..., in, rank), b (layers..., rank, out)

a starts random, b zero: at the start the network computes what it did, bit for bit. The
adapters are parameters `lora.<path of W>.a` and `.b`, float32; the modules know nothing
of them, for the kernels are put together before the network is applied.
"""

import dataclasses
import re
import zlib
from typing import Any

import jax
import jax.numpy as jnp

from videogen.core.errors import ConfigError
from videogen.core.types import Array, Params
from videogen.nn.fence import Network
from videogen.parallel.rules import Table

PREFIX = "lora."


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """rank 0: no adapters. targets: patterns (re.search) of the kernels that get one."""

    rank: int = 0
    alpha: float = 16.0
    targets: tuple[str, ...] = ("attn",)

    def __post_init__(self):
        if self.rank < 0 or self.alpha <= 0:
            raise ConfigError(
                f"lora.rank={self.rank} must be at least 0 (0: none), and "
                f"lora.alpha={self.alpha} positive"
            )


def with_adapters(network: Network, config: LoraConfig) -> Network:
    """The same network if the rank is 0. ConfigError for targets that cannot be."""
    if not config.rank:
        return network
    shapes = {path: leaf.shape for path, leaf in network.abstract().items()}
    targets = _targets(shapes, config)
    return AdaptedNetwork(
        network.make, network.structure, network.variables, config, targets
    )


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptedNetwork(Network):
    """A network whose parameters include adapters. Made by `with_adapters`."""

    lora: LoraConfig
    targets: tuple[str, ...]

    def init(self, key: Array) -> dict[str, Array]:
        """New parameters and new adapters, a pure function of the key."""
        params = super().init(key)
        for path, leaf in self._adapters().items():
            fan_in = leaf.shape[-2]
            draw = jax.random.fold_in(key, zlib.crc32(path.encode()))
            params[path] = (
                jax.random.normal(draw, leaf.shape) * fan_in**-0.5
                if path.endswith(".a")
                else jnp.zeros(leaf.shape)
            )
        return params

    def abstract(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and dtype of every parameter, adapters included."""
        return {**super().abstract(), **self._adapters()}

    def apply(self, params: Params, *args: Any, **kwargs: Any) -> Any:
        """The module's call under the merged parameters."""
        return super().apply(self.merge(params), *args, **kwargs)

    def merge(self, params: Params) -> dict[str, Array]:
        """The parameters of the network alone, each target with its adapter added."""
        merged = {p: x for p, x in params.items() if not p.startswith(PREFIX)}
        scale = self.lora.alpha / self.lora.rank
        for path in self.targets:
            a, b = params[f"{PREFIX}{path}.a"], params[f"{PREFIX}{path}.b"]
            merged[path] = merged[path] + scale * jnp.matmul(a, b, precision="highest")
        return merged

    def _adapters(self) -> dict[str, jax.ShapeDtypeStruct]:
        found = {}
        for path in self.targets:
            *lead, rows, columns = self.variables[path].shape
            rank = self.lora.rank
            for name, shape in (("a", (rows, rank)), ("b", (rank, columns))):
                leaf = jax.ShapeDtypeStruct((*lead, *shape), jnp.float32)
                found[f"{PREFIX}{path}.{name}"] = leaf
        return found


def adapter_rules(table: Table, paths: tuple[str, ...]) -> Table:
    """The sharding table with a rule for each adapter of `paths`, by its kernel's rule."""
    rules = []
    for path in paths:
        if not path.startswith(PREFIX):
            continue
        kernel, _, name = path.removeprefix(PREFIX).rpartition(".")
        axes = next(
            (x for rule, x in table if re.search(rule, f"params.{kernel}")),
            (None, None),
        )
        own = (*axes[:-1], None) if name == "a" else (*axes[:-2], None, axes[-1])
        rules.append((rf"\.{re.escape(path)}$", own))
    return (*rules, *table)


def _targets(shapes: dict[str, tuple[int, ...]], config: LoraConfig) -> tuple[str, ...]:
    kernels = [path for path in sorted(shapes) if path.endswith(".kernel")]
    for pattern in config.targets:
        if not any(re.search(pattern, path) for path in kernels):
            raise ConfigError(f"config.lora.targets: {pattern!r} finds no kernel")
    found = [p for p in kernels if any(re.search(x, p) for x in config.targets)]
    for path in found:
        most = min(shapes[path][-2:])
        if config.rank > most:
            raise ConfigError(
                f"config.lora.rank={config.rank} is more than {path} has: at most {most}"
            )
    return tuple(found)
