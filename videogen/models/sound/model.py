"""Latent diffusion jointly of video and of sound, by one transformer, as Veo 3 is described.

The sequence is [tokens of video; tokens of audio], and every block of `cross` attends to
all of it. Each part has a linear layer in and one out; the rest is shared. The time axis is
shared too: an audio frame that is s seconds into the clip stands at the frame coordinate
s x (latent frames per second), row 0, column 0, so rotary attention sees how far in time
a sound is from a picture.

A clip without sound has in the place of each audio frame one learned vector, so that the
video does not learn from silence that is not true.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.cross.model import CrossDiT
from videogen.models.sound.config import SoundConfig
from videogen.nn.linear import INITS, Linear
from videogen.nn.patch import beside_given, patchify, token_grid, unpatchify
from videogen.nn.position import grid_coordinates
from videogen.ops.attention.api import AttentionPlan


def make(
    config: SoundConfig, plan: AttentionPlan | None = None
) -> Callable[[nnx.Rngs], "SoundDiT"]:
    """What `Network.of` takes. No plan: `config.attention`, and no mesh."""
    plan = plan or AttentionPlan(implementation=config.attention)
    return functools.partial(SoundDiT, config, plan)


class SoundDiT(CrossDiT):
    """The whole network; of video alone, given an array, it is `CrossDiT`."""

    config: SoundConfig

    def __init__(self, config: SoundConfig, plan: AttentionPlan, rngs: nnx.Rngs):
        super().__init__(config, plan, rngs)
        width, channels = config.width, config.audio_channels
        self.audio_embedding = Linear(channels, width, rngs=rngs)
        self.audio_unheard = nnx.Param(INITS["normal"](rngs.params(), (width,)))
        self.audio_proj_out = Linear(width, channels, init="zeros", rngs=rngs)

    def __call__(
        self,
        latent: Any,
        t: Any,
        text_BLD: Float[Array, "B L X"] | None = None,
        text_mask_BL: Bool[Array, "B L"] | None = None,
        *,
        heard_B: Bool[Array, "B"] | None = None,
        given_BFHWC: Float[Array, "B F H W G"] | None = None,
        **conditions: Any,
    ) -> Any:
        """{"video": velocity_BFHWC, "audio": velocity_BAC}, float32.

        latent: a dict of the same. t: t_B, or for each part t_B or a time per token.
        heard_B: which clips have sound; left out, all.

        Raises ConfigError as CrossDiT, or for another number of audio channels.
        """
        if not isinstance(latent, Mapping):
            args = latent, t, text_BLD, text_mask_BL
            return super().__call__(*args, given_BFHWC=given_BFHWC, **conditions)
        config, video = self.config, latent["video"]
        if text_BLD is None:
            raise ConfigError("model.family=sound needs text_BLD in the batch")
        grid = token_grid(video.shape[1:4], config.patch)
        whole = beside_given(video, given_BFHWC, config.given_channels)
        tokens_BNP = patchify(whole, config.patch).astype(config.dtype)
        parts = self.patch_embedding(tokens_BNP), self._embed(latent["audio"], heard_B)
        sizes = [x.shape[1] for x in parts]
        places = audio_coordinates(sizes[1], config.audio_per_frame * config.patch[0])
        x_BND, coords_N4, t = self.padded(
            jnp.concatenate(parts, axis=1),
            np.concatenate([grid_coordinates(grid), places]),
            token_times(t, sizes),
        )
        told = text_BLD, text_mask_BL
        y_BND = self.trunk(
            *(x_BND, coords_N4, t, *told), num_tokens=sum(sizes), **conditions
        )
        y_BNP = self.proj_out(y_BND[:, : sizes[0]])
        return {
            "video": unpatchify(y_BNP, grid, config.patch),
            "audio": self.audio_proj_out(y_BND[:, sizes[0] : sum(sizes)]),
        }

    def _embed(self, audio_BAC: Array, heard_B: Array | None) -> Array:
        if audio_BAC.shape[-1] != self.config.audio_channels:
            raise ConfigError(
                f"model.audio_channels={self.config.audio_channels}, but the audio in the "
                f"batch has {audio_BAC.shape[-1]} channels"
            )
        x_BAD = self.audio_embedding(audio_BAC.astype(self.config.dtype))
        if heard_B is None:
            return x_BAD
        unheard_D = self.audio_unheard[...].astype(x_BAD.dtype)
        return jnp.where(heard_B[:, None, None], x_BAD, unheard_D)


def audio_coordinates(num_frames: int, per_token: float) -> Float[np.ndarray, "A 4"]:
    """coords_A4 of audio frames, of which so many pass in the time of a token's frames."""
    coords_A4 = np.zeros((num_frames, 4), np.float32)
    coords_A4[:, 0] = np.arange(num_frames) / per_token
    return coords_A4


def token_times(t: Any, sizes: list[int]) -> Array:
    """t_B, or t_BN of the whole sequence, of the times of its parts."""
    if not isinstance(t, Mapping):
        return t
    times = (
        x if x.ndim == 2 else jnp.broadcast_to(x[:, None], (len(x), size))
        for x, size in zip((t["video"], t["audio"]), sizes, strict=True)
    )
    return jnp.concatenate(list(times), axis=1)
