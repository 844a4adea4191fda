"""Validation loss on a fixed grid of (clip, t, noise): comparable across checkpoints.

Every held-out clip is seen at the K midpoints t = (k + 1/2) / K with noise drawn from
(seed, clip id, k) alone: independent of batch size, mesh, step and resume. The same noise
at every checkpoint makes the difference of two checkpoints far less noisy than their
values. Unweighted mean squared error of what the objective predicts (the velocity, by
default) in float32, at times of its own clock; the mean over clips and times is one
number, and each time keeps its own.
"""

import dataclasses
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np

from videogen.core import prng
from videogen.core.errors import ConfigError
from videogen.core.types import Array, Batch, Params
from videogen.diffusion.frames import by_token
from videogen.diffusion.loss import FLOW, Target
from videogen.diffusion.sound import Sound
from videogen.models.conditions import bind
from videogen.nn.fence import Network
from videogen.nn.patch import token_grid
from videogen.train.state import TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """K times, at most `max_clips` clips (0: all of the split), in batches of `batch_size`."""

    num_times: int = 8
    max_clips: int = 512
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self):
        if self.num_times < 1 or self.batch_size < 1:
            raise ConfigError(
                f"validation.num_times={self.num_times} and validation.batch_size="
                f"{self.batch_size} must be at least 1"
            )
        if self.max_clips < 0:
            raise ConfigError(
                f"validation.max_clips={self.max_clips} must be at least 0 (0: all)"
            )


def grid_noise(
    seed: int,
    id_B: Array,
    k: Array,
    shape: tuple[int, ...],
    stream: str = "validation",
) -> Array:
    """noise_BFHWC of clip ids (uint32) at time index k; `shape` is (F, H, W, C)."""
    root = prng.key(seed, 0, stream)

    def draw(clip: Array) -> Array:
        return jax.random.normal(
            jax.random.fold_in(jax.random.fold_in(root, clip), k), shape
        )

    return jax.vmap(draw)(id_B)


def make_batch_loss(
    network: Network,
    normalise: Callable[[Array], Array],
    config: ValidationConfig,
    target: Target = FLOW,
    sound: Sound | None = None,
    clean_first: tuple[int, int, int] | None = None,
    held_out: Callable[[Batch, Array], Batch] = lambda batch, _: batch,
) -> Callable[[Params, Batch], tuple[Array, Array]]:
    """(params, batch) -> (sum of weighted losses per time (K,), sum of weights ()).

    clean_first: the patch of a network whose first frame is always given, clean.
    held_out: (batch, normalised latent) -> the batch with what of itself it is given.
    """

    def batch_loss(params: Params, batch: Batch) -> tuple[Array, Array]:
        video = normalise(batch["latent_BFHWC"])
        x_0 = video if sound is None else sound.beside(video, batch)
        told = held_out(batch, video)
        predict, learn_BF = bind(network, params, told), None
        if clean_first is not None:
            grid = token_grid(video.shape[1:4], clean_first)
            frames = jnp.arange(video.shape[1]) // clean_first[0]
            learn_BF = jnp.broadcast_to(frames > 0, video.shape[:2])
            predict = by_token(predict, grid)
        weight_B = batch["weight_B"].astype(jnp.float32)

        def at(k: Array) -> Array:
            u_B = jnp.full((video.shape[0],), (k + 0.5) / config.num_times)
            of_clips = config.seed, batch["id_B"], k
            noise = grid_noise(*of_clips, video.shape[1:])
            if sound is not None:
                shape = x_0["audio"].shape[1:]
                audio_noise = grid_noise(*of_clips, shape, "audio_validation")
                noise = {"video": noise, "audio": audio_noise}
            u = target.path.draw(u_B)
            if learn_BF is not None:
                u = jnp.where(learn_BF, u[:, None], 0.0)
            error_B = target.error(predict, x_0, noise, u, learn_BF)
            if sound is not None:
                error_B = sound.total(error_B, batch)
            return jnp.sum(weight_B * error_B)

        return jax.lax.map(at, jnp.arange(config.num_times)), jnp.sum(weight_B)

    return batch_loss


def validate(
    state: TrainState,
    batches: Iterable[Batch],
    batch_loss: Callable[[Params, Batch], tuple[Array, Array]],
) -> dict[str, float]:
    """{"loss", "loss_ema", "loss_ema/t=0.06", ...} over all batches."""
    totals: dict[str, np.ndarray] = {}
    weight = 0.0
    for batch in batches:
        for name, params in (("loss", state.weights), ("loss_ema", state.averages)):
            sums, batch_weight = jax.device_get(batch_loss(params, batch))
            totals[name] = totals.get(name, 0.0) + np.asarray(sums, np.float64)
        weight += float(batch_weight)
    result = {name: float(total.mean() / weight) for name, total in totals.items()}
    num_times = len(totals["loss_ema"])
    for k, total in enumerate(totals["loss_ema"]):
        result[f"loss_ema/t={(k + 0.5) / num_times:.2f}"] = float(total / weight)
    return result
