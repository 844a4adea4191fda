"""What the entry refuses, each with one line: ValueError, what is wrong, what would work."""

import math
from typing import Any

import jax.numpy as jnp

from videogen.core.types import Array

MAX_HEAD_DIM = 256
# Where batch, tokens, heads and head dim stand in q, k and v.
Layouts = tuple[str, str, str]
WRAPPER: Layouts = ("B, N, K, E", "B, S, G, E", "B, S, G, E")
CORE: Layouts = ("B, K, E, N", "B, G, S, E", "B, G, E, S")


def check_heads(q: Array, k: Array, v: Array, layouts: Layouts) -> None:
    """Ranks, dtypes, and sizes that agree."""
    sizes: list[dict[str, int]] = []
    for name, x, layout in zip("qkv", (q, k, v), layouts, strict=True):
        if x.ndim != 4:
            raise ValueError(
                f"attention: {name} has shape {x.shape}; needs 4 dims ({layout})"
            )
        if x.dtype not in (jnp.bfloat16, jnp.float16, jnp.float32):
            raise ValueError(
                f"attention: {name} is {x.dtype}; cast it to bfloat16, float16 or float32"
            )
        sizes.append(dict(zip(layout.split(", "), x.shape, strict=True)))
    of_q, of_k, of_v = sizes
    if of_k != of_v:
        raise ValueError(
            f"attention: k {k.shape} and v {v.shape} need the same sizes, laid out as "
            f"({layouts[1]}) and ({layouts[2]})"
        )
    for dim, meaning in (("B", "batch size"), ("E", "head dim")):
        if of_q[dim] != of_k[dim]:
            raise ValueError(
                f"attention: q {q.shape} and k {k.shape}, laid out as ({layouts[0]}) and "
                f"({layouts[1]}), need the same {meaning}"
            )
    if not 1 <= of_q["E"] <= MAX_HEAD_DIM:
        raise ValueError(
            f"attention: the head dim of q is {of_q['E']}; needs 1 to {MAX_HEAD_DIM}"
        )
    if not of_k["G"] or of_q["K"] % of_k["G"]:
        raise ValueError(
            f"attention: {of_k['G']} key/value heads do not divide {of_q['K']} query heads"
        )
    if not q.dtype == k.dtype == v.dtype:
        raise ValueError(
            f"attention: q, k, v are {q.dtype}, {k.dtype}, {v.dtype}; cast them to one dtype"
        )


def check_tokens(
    kind: str, arrays: tuple[Any, Any], batch: int, lengths: tuple[int, int]
) -> None:
    """Both or neither, of the right shape; ids are integers."""
    suffixes = ("BN4", "BS4") if kind == "coords" else ("BN", "BS")
    names = [f"{x}_{kind}_{y}" for x, y in zip(("q", "kv"), suffixes, strict=True)]
    if (arrays[0] is None) != (arrays[1] is None):
        raise ValueError(f"attention: give both {names[0]} and {names[1]}, or neither")
    for name, x, length in zip(names, arrays, lengths, strict=True):
        if x is None:
            continue
        shapes = [(batch, length)]
        if kind == "coords":
            shapes = [(length, 4), (batch, length, 4)]
        if x.shape not in shapes:
            raise ValueError(
                f"attention: {name} has shape {x.shape}; needs "
                + " or ".join(map(str, shapes))
            )
        if kind == "segments" and not jnp.issubdtype(x.dtype, jnp.integer):
            raise ValueError(f"attention: {name} is {x.dtype}; needs integer ids")


def check_num_kv(num_kv: int | None, num_given: int) -> None:
    """Some of the keys that are there."""
    if num_kv is not None and not 1 <= num_kv <= num_given:
        raise ValueError(
            f"attention: num_kv={num_kv} of {num_given} keys; needs 1 to {num_given}"
        )


def check_numbers(scale: float, logit_bound: float | None) -> None:
    """Finite, and a bound above zero."""
    if not math.isfinite(scale):
        raise ValueError(f"attention: scale={scale}; needs a finite number")
    if logit_bound is not None and not 0 < logit_bound < math.inf:
        raise ValueError(
            f"attention: logit_bound={logit_bound}; needs a positive number, or None"
        )
