"""Latents <-> tokens: a patch (pt, ph, pw) of C channels becomes one vector.

P = pt ph pw C, channels fastest. Tokens run over frames, then rows, then columns.
"""

import jax.numpy as jnp
from jaxtyping import Float, Shaped

from videogen.core.errors import ConfigError
from videogen.core.types import Array

Triple = tuple[int, int, int]


def token_grid(sizes: tuple[int, ...], patch: Triple) -> Triple:
    """Tokens per dim of a latent (F, H, W). ConfigError if the patch does not divide."""
    names = ("frames", "height", "width")
    for name, size, step in zip(names, sizes, patch, strict=True):
        if size % step:
            low = size - size % step
            fits = f"{low} or {low + step}" if low else f"{step}"
            raise ConfigError(
                f"latent {name}={size} does not divide by {step} of patch={patch}; "
                f"{fits} would work"
            )
    f, h, w = (size // step for size, step in zip(sizes, patch, strict=True))
    return f, h, w


def beside_given(
    latent_BFHWC: Float[Array, "B F H W C"],
    given_BFHWC: Float[Array, "B F H W G"] | None,
    channels: int,
) -> Float[Array, "B F H W X"]:
    """The latent with what is given of the video as further channels; None: zeros.

    Raises ConfigError if the channels are others than the config's.
    """
    if given_BFHWC is None and not channels:
        return latent_BFHWC
    if given_BFHWC is None:
        given_BFHWC = jnp.zeros((*latent_BFHWC.shape[:4], channels))
    if given_BFHWC.shape[-1] != channels:
        raise ConfigError(
            f"model.given_channels={channels}, but given_BFHWC in the batch has "
            f"{given_BFHWC.shape[-1]} channels"
        )
    return jnp.concatenate([latent_BFHWC, given_BFHWC], axis=-1)


def patchify(
    latent_BFHWC: Shaped[Array, "B F H W C"], patch: Triple
) -> Shaped[Array, "B N P"]:
    """tokens_BNP of a latent. ConfigError if the patch does not divide it."""
    batch, frames, height, width, channels = latent_BFHWC.shape
    f, h, w = token_grid((frames, height, width), patch)
    pt, ph, pw = patch
    x = latent_BFHWC.reshape(batch, f, pt, h, ph, w, pw, channels)
    x = x.transpose(0, 1, 3, 5, 2, 4, 6, 7)
    return x.reshape(batch, f * h * w, pt * ph * pw * channels)


def unpatchify(
    tokens_BNP: Shaped[Array, "B N P"], grid: Triple, patch: Triple
) -> Shaped[Array, "B F H W C"]:
    """The inverse of `patchify`; `grid` is from `token_grid`."""
    batch, _, size = tokens_BNP.shape
    (f, h, w), (pt, ph, pw) = grid, patch
    x = tokens_BNP.reshape(batch, f, h, w, pt, ph, pw, size // (pt * ph * pw))
    x = x.transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return x.reshape(batch, f * pt, h * ph, w * pw, -1)
