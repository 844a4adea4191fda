"""What a clip is trained for: from text alone, or from some of its own frames too.

task        frames that are given
t2v         none
i2v         the first
forward     the first k, k uniform in 1 ... F / 2: the video goes on
backward    the last k: the video before it
keyframes   the first and the last

Each row of a batch draws its task by weight. How the network learns what is given:

"channels"  `given_BFHWC`, beside the noisy latent: the given frames' clean latent, zeros
            elsewhere, and a mask (Wan I2V, HunyuanVideo I2V, Open-Sora 2.0)
"clean"     the given frames are clean in the latent itself, told t = 0, and not learnt
            (Wan2.2 TI2V, LTX-Video); for networks that take a time per token; Cosmos
            also has a channel that says which frames these are
"""

import dataclasses

import jax
import jax.numpy as jnp

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array

NAMES = ("t2v", "i2v", "forward", "backward", "keyframes")
HOW = ("channels", "clean")


def first_given(batch_size: int, num_frames: int) -> Array:
    """given_BF bool: the first frame of every row; of one frame, none."""
    first_F = (jnp.arange(num_frames) == 0) & (num_frames > 1)
    return jnp.broadcast_to(first_F, (batch_size, num_frames))


def marks(given_BF: Array, like: Array, channels: int) -> Array:
    """given_BFHWC of networks that are told which frames are clean: a mask, then zeros.

    The zeros are Cosmos's mask of padding, which our clips have none of.
    """
    shape = (*like.shape[:4], channels)
    first = jnp.arange(channels) == 0
    mask = given_BF[:, :, None, None, None] & first
    return jnp.broadcast_to(mask, shape).astype(like.dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskMix:
    """Weights of the tasks, and how frames are given.

    mask_first: the mask's channels come before the latent's (Wan, Open-Sora 2.0).
    """

    t2v: float = 1.0
    i2v: float = 0.0
    forward: float = 0.0
    backward: float = 0.0
    keyframes: float = 0.0
    how: str = "channels"
    mask_first: bool = True

    def __post_init__(self) -> None:
        for name in NAMES:
            if getattr(self, name) < 0:
                raise ConfigError(f"tasks.{name}={getattr(self, name)}: at least 0")
        if not sum(self.weights):
            raise ConfigError("tasks: all weights are 0; t2v=1 is text to video alone")
        if self.how not in HOW:
            raise ConfigError(f"tasks.how={self.how!r}{suggest(self.how, HOW)}")

    @property
    def weights(self) -> tuple[float, ...]:
        """In the order of NAMES."""
        return tuple(getattr(self, name) for name in NAMES)

    @property
    def gives(self) -> bool:
        """Whether any task gives frames."""
        return sum(self.weights[1:]) > 0

    @property
    def gives_first(self) -> bool:
        """Whether any task gives the first frame."""
        return self.i2v + self.forward + self.keyframes > 0

    def given(self, key: Array, batch_size: int, num_frames: int) -> Array:
        """given_BF bool: the frames that each row is given; of one frame, none."""
        if num_frames == 1:
            return jnp.zeros((batch_size, 1), bool)
        task_key, count_key = jax.random.split(key)
        logits = jnp.log(jnp.asarray(self.weights))
        task_B = jax.random.categorical(task_key, logits, shape=(batch_size,))
        most = max(1, num_frames // 2)
        count_B = jax.random.randint(count_key, (batch_size,), 1, most + 1)
        first, last = jnp.arange(num_frames), jnp.arange(num_frames)[::-1]
        frames_5BF = jnp.stack(
            [
                jnp.zeros((batch_size, num_frames), bool),
                jnp.broadcast_to(first == 0, (batch_size, num_frames)),
                first < count_B[:, None],
                last < count_B[:, None],
                jnp.broadcast_to((first == 0) | (last == 0), (batch_size, num_frames)),
            ]
        )
        return jnp.take_along_axis(frames_5BF, task_B[None, :, None], axis=0)[0]

    def beside(self, x_0: Array, given_BF: Array, channels: int) -> Array:
        """given_BFHWC of so many channels: the given frames' latent and their mask."""
        mask = given_BF[:, :, None, None, None].astype(x_0.dtype)
        shape = (*x_0.shape[:4], channels - x_0.shape[-1])
        parts = (jnp.broadcast_to(mask, shape), x_0 * mask)
        return jnp.concatenate(parts if self.mask_first else parts[::-1], axis=-1)
