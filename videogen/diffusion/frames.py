"""Frames of one clip at times of their own: chunks, and frames that are given."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from videogen.core.types import Array, Parts
from videogen.diffusion.flow import Velocity
from videogen.diffusion.parts import each, video_of, with_video
from videogen.diffusion.shift import shift_time
from videogen.diffusion.time import Grid, TimeSampler


def frame_times(
    time: TimeSampler, key: Array, batch_size: int, num_frames: int, shift: float
) -> tuple[Array, Array]:
    """(u_BF float32, learn_BF bool) of clips of `num_frames` frames of tokens.

    One frame at least is learnt: of an image, none is given.
    """
    size = time.chunk_frames or num_frames
    u_BK = jnp.sort(time.unshifted(key, (batch_size, -(-num_frames // size))), axis=1)
    u_BF = jnp.repeat(shift_time(u_BK, shift), size, axis=1)[:, :num_frames]
    most = min(time.clean_frames, num_frames - 1)
    if not most:
        return u_BF, jnp.ones_like(u_BF, bool)
    count_B, noise_B = _given(time, key, batch_size, most)
    given_BF = jnp.arange(num_frames) < count_B[:, None]
    return jnp.where(given_BF, noise_B[:, None], u_BF), ~given_BF


def _given(
    time: TimeSampler, key: Array, batch_size: int, most: int
) -> tuple[Array, Array]:
    """(how many first frames are given, how noisy they are)."""
    rows, count, noise = (jax.random.fold_in(key, i) for i in range(3))
    count_B = jax.random.randint(count, (batch_size,), 1, most + 1)
    given_B = jax.random.uniform(rows, (batch_size,)) < time.clean_rows
    noise_B = time.clean_noise * jax.random.uniform(noise, (batch_size,))
    return jnp.where(given_B, count_B, 0), noise_B


def by_token(
    predict: Callable[[Parts, Parts], Parts], grid: Grid
) -> Callable[[Parts, Parts], Parts]:
    """`predict`, told a time per token, of (z, what is told of each latent frame).

    A part that is told one time per clip keeps it.
    """
    frames, rows, columns = grid

    def of_tokens(told: Array) -> Array:
        if told.ndim == 1:
            return told
        told_Bf = told[:, :: told.shape[1] // frames]
        return jnp.repeat(told_Bf, rows * columns, axis=1)

    def predicted(z: Parts, told: Parts) -> Parts:
        return predict(z, each(of_tokens, told))

    return predicted


def keep_given(velocity: Velocity, clean: Array, given_BF: Array) -> Velocity:
    """`velocity` of clips whose given frames are `clean`, at t = 0, and stay as they are."""
    given = given_BF[:, :, None, None, None]

    def kept(x_t: Parts, t_B: Array) -> Parts:
        t = each(lambda _: t_B, x_t)
        t = with_video(t, jnp.where(given_BF, 0.0, t_B[:, None]))
        seen = with_video(x_t, jnp.where(given, clean, video_of(x_t)))
        v = velocity(seen, t)
        return with_video(v, jnp.where(given, 0.0, video_of(v)))

    return kept
