"""The network: two numbers for each of a hundred small frames, from where it cuts.

Stacks of dilated convolutions see the frames, each twice as fine in channels and half as
fine in space as the one before. Beside what they end with, the last layers are given how
alike each frame is to those up to 50 away: by what the stacks saw, and by its colours.

Shapes, besides those of core/types.py: T frames, H and W pixels, C channels of a place,
X whatever a frame is compared by, P 101 places from 50 before to 50 after.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, UInt8

from videogen.core.types import Array

DILATIONS = (1, 2, 4, 8)  # in frames, of the parts of a block
REACH = 50  # frames before and after that a frame is compared with

# What weights.py makes: arrays in dicts and lists.
Tree = Mapping[str, Any]


def network(
    params: Tree, frames_BTHWC: UInt8[Array, "B T 27 48 3"]
) -> tuple[Float[Array, "B T"], Float[Array, "B T"]]:
    """Logits: a transition's middle is here; a transition is here, at its ends too."""
    x_BTHWC = frames_BTHWC / jnp.float32(255)
    seen = []
    for blocks in params["stacks"]:
        x_BTHWC = stack(blocks, x_BTHWC)
        seen.append(x_BTHWC.mean((2, 3)))
    similar_BTX = similarities(params["similarity"], jnp.concatenate(seen, -1))
    colours_BTX = alike(params["colours"], colour_histograms(frames_BTHWC))
    flat_BTX = x_BTHWC.reshape(*x_BTHWC.shape[:2], -1)
    x_BTX = jnp.concatenate([colours_BTX, similar_BTX, flat_BTX], -1)
    x_BTX = jax.nn.relu(linear(params["hidden"], x_BTX))
    return linear(params["middle"], x_BTX)[..., 0], linear(params["all"], x_BTX)[..., 0]


def stack(
    blocks: list[Tree], x_BTHWC: Float[Array, "B T H W C"]
) -> Float[Array, "B T I J D"]:
    """Blocks, the first one's output added to the last one's; then means of 2 x 2 places."""
    x_BTHWC = shortcut_BTHWC = jax.nn.relu(block(blocks[0], x_BTHWC))
    for between in blocks[1:-1]:
        x_BTHWC = jax.nn.relu(block(between, x_BTHWC))
    x_BTHWC = jax.nn.relu(block(blocks[-1], x_BTHWC)) + shortcut_BTHWC
    return halved(x_BTHWC)


def block(
    params: Tree, x_BTHWC: Float[Array, "B T H W C"]
) -> Float[Array, "B T H W D"]:
    """3 x 3 in each frame, then 3 along time at each dilation; the norm's statistics are fixed.

    The parts of all dilations go through the first convolution as one.
    """
    B, T, H, W, C = x_BTHWC.shape
    x = jax.lax.conv_general_dilated(
        x_BTHWC.reshape(B * T, H, W, C),
        params["space"],
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    parts = jnp.split(x.reshape(B, T, H, W, -1), len(DILATIONS), -1)
    x_BTHWC = jnp.concatenate(
        [
            along_time(part, kernel, dilation)
            for part, kernel, dilation in zip(
                parts, params["time"], DILATIONS, strict=True
            )
        ],
        -1,
    )
    return x_BTHWC * params["scale"] + params["bias"]


def along_time(
    x_BTHWC: Float[Array, "B T H W C"], kernel_3CD: Float[Array, "3 C D"], dilation: int
) -> Float[Array, "B T H W D"]:
    """The frame `dilation` before, this one, and the one as much after; nothing beyond."""
    T = x_BTHWC.shape[1]
    edges = ((0, 0), (dilation, dilation), (0, 0), (0, 0), (0, 0))
    padded = jnp.pad(x_BTHWC, edges)
    before, here, after = (padded[:, i * dilation :][:, :T] for i in range(3))
    return before @ kernel_3CD[0] + here @ kernel_3CD[1] + after @ kernel_3CD[2]


def halved(x_BTHWC: Float[Array, "B T H W C"]) -> Float[Array, "B T I J C"]:
    """Means of 2 x 2 places; an odd last row or column is left out."""
    B, T, H, W, C = x_BTHWC.shape
    even = x_BTHWC[:, :, : H // 2 * 2, : W // 2 * 2]
    return even.reshape(B, T, H // 2, 2, W // 2, 2, C).mean((3, 5))


def similarities(params: Tree, x_BTX: Float[Array, "B T X"]) -> Float[Array, "B T Y"]:
    """Of frames by a projection of what was seen."""
    return alike(params["compared"], unit(linear(params["projection"], x_BTX)))


def colour_histograms(
    frames_BTHWC: UInt8[Array, "B T H W 3"],
) -> Float[Array, "B T 512"]:
    """Of each frame, three bits of a colour, of length 1."""
    bits = (frames_BTHWC >> 5).astype(jnp.int32)
    bins_BTHW = (bits[..., 0] << 6) + (bits[..., 1] << 3) + bits[..., 2]
    B, T = bins_BTHW.shape[:2]
    counts = jax.vmap(lambda bins: jnp.bincount(bins, length=512))(
        bins_BTHW.reshape(B * T, -1)
    )
    return unit(counts.reshape(B, T, 512).astype(jnp.float32))


def alike(params: Tree, x_BTX: Float[Array, "B T X"]) -> Float[Array, "B T Y"]:
    """A layer of each frame's products with its neighbours; 0 beyond the ends."""
    T = x_BTX.shape[1]
    products_BTT = jnp.einsum("BTX,BSX->BTS", x_BTX, x_BTX)
    padded = jnp.pad(products_BTT, ((0, 0), (0, 0), (REACH, REACH)))
    places_TP = jnp.arange(T)[:, None] + jnp.arange(2 * REACH + 1)
    near_BTP = jnp.take_along_axis(padded, places_TP[None], axis=2)
    return jax.nn.relu(linear(params, near_BTP))


def unit(x: Float[Array, "... X"]) -> Float[Array, "... X"]:
    """Of length 1; what is 0 stays."""
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def linear(params: Tree, x: Float[Array, "... X"]) -> Float[Array, "... Y"]:
    """x @ kernel + bias."""
    return x @ params["kernel"] + params["bias"]
