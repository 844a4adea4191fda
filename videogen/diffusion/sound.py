"""A clip's sound, diffused beside its frames: one more part, at the same time t.

loss = loss of the video + weight * loss of the audio, where there is sound
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp

from videogen.core.types import Array, Batch, Parts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sound:
    """How a batch's sound enters the objective."""

    normalise: Callable[[Array], Array]  # audio_BAC as stored -> unit variance
    weight: float = 1.0

    def beside(self, video: Array, batch: Batch) -> dict[str, Array]:
        """The parts of a batch: its video, normalised already, and its audio."""
        return {"video": video, "audio": self.normalise(batch["audio_BAC"])}

    def total(self, loss: Parts, batch: Batch) -> Array:
        """loss_B of both parts; of the video alone where a clip has no sound."""
        heard_B = batch["heard_B"].astype(jnp.float32)
        return loss["video"] + self.weight * heard_B * loss["audio"]
