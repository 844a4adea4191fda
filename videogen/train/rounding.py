"""Moments in bfloat16: half the memory, rounded so that no small change is lost on average.

A moment's update is often less than half a unit of its last place, so rounding to the nearest
would keep it for ever. Here it is rounded up with the probability of what is cut off.
"""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from videogen.core import prng
from videogen.core.types import Array

MOMENTS = re.compile(r"(^|\.)(mu|nu)\.")
_CUT = 16  # bits of float32 that bfloat16 has not


class RoundedState(NamedTuple):
    """The optimiser's state with its moments in bfloat16, and how often it was rounded."""

    count: Any  # int32 scalar
    inner: Any


def in_bfloat16(
    inner: optax.GradientTransformation, seed: int = 0
) -> optax.GradientTransformationExtraArgs:
    """`inner`, which computes in float32 what is kept in bfloat16.

    Told which `layer` its arrays are of, it rounds those of each by draws of their own.
    """

    def init(params: optax.Params) -> RoundedState:
        state = _moments(inner.init(params), lambda x, _: x.astype(jnp.bfloat16))
        return RoundedState(count=jnp.zeros((), jnp.int32), inner=state)

    def update(
        updates: optax.Updates,
        state: Any,
        params: Any = None,
        *,
        layer: Array | None = None,
        **_: Any,
    ) -> tuple[optax.Updates, RoundedState]:
        wide = _moments(state.inner, lambda x, _: x.astype(jnp.float32))
        updates, wide = inner.update(updates, wide, params)

        def narrow(x: Array, path: str) -> Array:
            key = prng.key(seed, state.count, path)
            if layer is not None:
                key = jax.random.fold_in(key, layer)
            return stochastic_bfloat16(key, x)

        count = optax.safe_increment(state.count)
        return updates, RoundedState(count=count, inner=_moments(wide, narrow))

    return optax.GradientTransformationExtraArgs(init, update)


def stochastic_bfloat16(key: Array, x: Array) -> Array:
    """float32 -> one of the two nearest bfloat16, whose mean is x. What is not finite stays.

    Random bits below those that are kept carry into them as often as they should.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    noise = jax.random.bits(key, x.shape, jnp.uint16).astype(jnp.uint32)
    rounded = ((bits + noise) >> _CUT).astype(jnp.uint16)
    return jnp.where(
        jnp.isfinite(x),
        jax.lax.bitcast_convert_type(rounded, jnp.bfloat16),
        x.astype(jnp.bfloat16),
    )


def _moments(state: Any, function: Any) -> Any:
    """The state with function(leaf, path) of its moments."""

    def of_leaf(keys: Any, leaf: Array) -> Array:
        path = jax.tree_util.keystr(keys, simple=True, separator=".")
        return function(leaf, path) if MOMENTS.search(path) else leaf

    return jax.tree_util.tree_map_with_path(of_leaf, state)
