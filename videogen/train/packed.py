"""The loss of packed rows: each clip has its own time; every token of a row counts alike."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from videogen.core import prng
from videogen.core.types import Array, Batch, Params
from videogen.diffusion.loss import Target
from videogen.diffusion.shift import shift_time
from videogen.diffusion.time import TimeSampler
from videogen.nn.fence import Network
from videogen.nn.pack import of_tokens, places
from videogen.train.microbatches import Draws

CONDITIONS = ("grid_BR3", "text_BLD", "text_segments_BL", "fps_BR")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackedObjective:
    """`step.Objective` of the rows of data/packed.py."""

    network: Network
    time: TimeSampler
    normalise: Callable[[Array], Array]  # (..., C) as stored -> unit variance
    seed: int
    channels: int  # of the latent
    patch: tuple[int, int, int]
    target: Target = Target()
    log_variance: None = None
    sound: None = None

    def __call__(self, params: Params, batch: Batch, step: Array) -> Array:
        return self.loss(params, batch, self.draw(batch, step))

    def draw(self, batch: Batch, step: Array) -> Draws:
        """What is random in a step: noise, and each clip's time u."""
        key = prng.key(self.seed, step, "noise")
        noise_BNP = jax.random.normal(key, batch["tokens_BNP"].shape)
        u_BR = self._times(prng.key(self.seed, step, "time"), batch["grid_BR3"])
        return {"noise": noise_BNP, "u": u_BR}

    def loss(self, params: Params, batch: Batch, drawn: Draws) -> Array:
        """Of a batch, or of some of its rows."""
        tokens_BNP, grid_BR3 = batch["tokens_BNP"], batch["grid_BR3"]
        segments_BN, _ = places(grid_BR3, tokens_BNP.shape[1])
        cells = tokens_BNP.reshape(*tokens_BNP.shape[:2], -1, self.channels)
        x_0 = self.normalise(cells).reshape(tokens_BNP.shape)
        noise, u_BR = drawn["noise"], drawn["u"]
        conditions = {name: batch[name] for name in CONDITIONS}

        def predict(z_BNP: Array, told_BN: Array) -> Array:
            del told_BN  # the network hears of clips
            told_BR = self.target.told(u_BR)
            return self.network.apply(
                *(params, z_BNP, told_BR), method="packed", **conditions
            )

        learn_BN = segments_BN <= jnp.sum(grid_BR3[..., 0] > 0, axis=1)[:, None]
        u_BN = of_tokens(u_BR, segments_BN)
        return jnp.mean(self.target.loss(predict, x_0, noise, u_BN, learn_BN))

    def held_out(self, batch: Batch, x_0: Array) -> Batch:
        """The batch as validation has it: as it is."""
        del x_0
        return batch

    def _times(self, key: Array, grid_BR3: Array) -> Array:
        """u_BR, shifted as each clip's tokens ask."""
        f, h, w = jnp.moveaxis(jnp.maximum(grid_BR3, 1), -1, 0)
        shift_BR = self.time.shift_at((f, h, w), f * self.patch[0])
        u_BR = self.time.unshifted(key, grid_BR3.shape[:2])
        return self.target.path.draw(shift_time(u_BR, shift_BR))
