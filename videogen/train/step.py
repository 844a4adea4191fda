"""One optimiser step, pure: (state, batch) -> (state, metrics).

Randomness is key(seed, step, stream), the batch is a function of the step, so a resumed
run repeats an uninterrupted one bit for bit.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from videogen.core import prng
from videogen.core.types import Array, Batch, Params, Parts
from videogen.diffusion.frames import by_token, frame_times
from videogen.diffusion.loss import Target
from videogen.diffusion.parts import video_of
from videogen.diffusion.sound import Sound
from videogen.diffusion.tasks import TaskMix, first_given, marks
from videogen.diffusion.time import TimeSampler
from videogen.models.conditions import bind
from videogen.nn.fence import Network
from videogen.nn.log_variance import apart
from videogen.nn.patch import token_grid
from videogen.train.microbatches import Draws, RowwiseLoss, value_and_grad
from videogen.train.offload import in_turns
from videogen.train.optimizer import OptimizerConfig, ema_decay_at, make_schedule
from videogen.train.state import TrainState

Metrics = dict[str, Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss of a batch: corrupt normalised latents at sampled times, regress a target."""

    network: Network
    time: TimeSampler
    normalise: Callable[[Array], Array]  # latent_BFHWC as stored -> unit variance
    seed: int
    target: Target = Target()
    patch: tuple[int, int, int] = (1, 1, 1)  # latent numbers of one token
    tasks: TaskMix = TaskMix()
    given_channels: int = 0  # of the network
    marks_given: bool = False  # by a channel: clean frames
    always_image: bool = False  # the network cannot be told that there is no image
    log_variance: Network | None = None  # its parameters: nn/log_variance.py
    sound: Sound | None = None  # of batches that have it

    def __call__(self, params: Params, batch: Batch, step: Array) -> Array:
        return self.loss(params, batch, self.draw(batch, step))

    def draw(self, batch: Batch, step: Array) -> Draws:
        """What is random in a step: noise, times u, which frames are given and learnt."""
        shape = batch["latent_BFHWC"].shape
        grid = token_grid(shape[1:4], self.patch)
        noise: Parts = jax.random.normal(prng.key(self.seed, step, "noise"), shape)
        if self.sound is not None:
            key = prng.key(self.seed, step, "audio_noise")
            audio = jax.random.normal(key, batch["audio_BAC"].shape)
            noise = {"video": noise, "audio": audio}
        given_BF = self._given(step, shape[0], grid[0])
        u, learn = self._times(step, shape, grid, given_BF)
        return {"noise": noise, "u": u, "learn": learn, "given_BF": given_BF}

    def loss(self, params: Params, batch: Batch, drawn: Draws) -> Array:
        """Of a batch, or of some of its rows."""
        x_0 = self.normalise(batch["latent_BFHWC"])
        grid = token_grid(x_0.shape[1:4], self.patch)
        given_BF, u = drawn["given_BF"], drawn["u"]
        batch = self._told(batch, x_0, given_BF)
        if self.marks_given and self.by_frame:
            clean_BF = ~video_of(drawn["learn"])
            beside = marks(clean_BF, x_0, self.given_channels)
            batch = {**batch, "given_BFHWC": beside}
        predict = bind(self.network, params, batch)
        if self.by_frame:
            predict = by_token(predict, grid)
        if self.sound is not None:
            x_0 = self.sound.beside(x_0, batch)
        loss_B = self.target.loss(predict, x_0, drawn["noise"], u, drawn["learn"])
        if self.sound is not None:
            loss_B = self.sound.total(loss_B, batch)
        if self.log_variance is not None:
            told_B = self.target.told(u)
            log_variance_B = self.log_variance.apply(apart(params)[1], told_B)
            loss_B = loss_B * jnp.exp(-log_variance_B) + log_variance_B
        return jnp.mean(loss_B)

    def held_out(self, batch: Batch, x_0: Array) -> Batch:
        """The batch as validation has it: given nothing, or what the network must have."""
        frames = x_0.shape[1] // self.patch[0]
        first_BF = first_given(len(x_0), frames) if self.always_image else None
        return self._told(batch, x_0, first_BF)

    def _told(self, batch: Batch, x_0: Array, given_BF: Array | None) -> Batch:
        """The batch with the frames that are given beside, and the image where it is one."""
        if given_BF is not None and self.tasks.how == "channels":
            by_latent_BF = jnp.repeat(given_BF, self.patch[0], axis=1)
            beside = self.tasks.beside(x_0, by_latent_BF, self.given_channels)
            batch = {**batch, "given_BFHWC": beside}
        if self.always_image or "image_BLX" not in batch:
            return batch
        if given_BF is None:
            return {name: x for name, x in batch.items() if name != "image_BLX"}
        image_BLX = jnp.where(given_BF[:, :1, None], batch["image_BLX"], 0)
        return {**batch, "image_BLX": image_BLX}

    def _times(
        self,
        step: Array,
        shape: tuple[int, ...],
        grid: tuple[int, int, int],
        given_BF: Array | None,
    ) -> tuple[Parts, Parts | None]:
        """(u, what is learnt): of each frame, or of the clip."""
        shift = self.time.shift_at(grid, shape[1])
        key, path = prng.key(self.seed, step, "time"), self.target.path
        if not self.by_frame:
            return path.draw(self.time(key, shape[0], shift)), None
        u_BF, learn_BF = frame_times(self.time, key, shape[0], grid[0], shift)
        u_B = path.draw(u_BF[:, 0])  # the clip's, before frames are given
        if given_BF is not None:
            u_BF, learn_BF = jnp.where(given_BF, 0.0, u_BF), learn_BF & ~given_BF
        u_BF = jnp.where(learn_BF, path.draw(u_BF), u_BF)
        u, learn = (jnp.repeat(x, self.patch[0], axis=1) for x in (u_BF, learn_BF))
        if self.sound is not None:
            u, learn = {"video": u, "audio": u_B}, {"video": learn, "audio": None}
        return u, learn

    @property
    def by_frame(self) -> bool:
        """Whether frames may differ in their time."""
        return self.time.by_frame or (self.tasks.gives and self.tasks.how == "clean")

    def _given(self, step: Array, batch_size: int, num_frames: int) -> Array | None:
        """Which frames of tokens each row is given; None: no task gives any."""
        if not self.tasks.gives:
            return None
        key = prng.key(self.seed, step, "tasks")
        return self.tasks.given(key, batch_size, num_frames)


def _select(ok: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(ok, a, b), new, old)


def make_train_step(
    objective: RowwiseLoss,
    optimizer: optax.GradientTransformationExtraArgs,
    config: OptimizerConfig,
    start: int = 0,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """The step. A non-finite loss or gradient changes nothing but `step` and is counted.

    start: the step at which the learning-rate schedule begins.
    """
    schedule = make_schedule(config, start)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        def loss_of(params: Params, batch: Batch, drawn: Draws) -> Array:
            return objective.loss({**state.frozen, **params}, batch, drawn)

        loss, grads = value_and_grad(
            jax.value_and_grad(loss_of),
            dict(state.params),
            (batch, objective.draw(batch, state.step)),
            config.microbatches,
        )
        grad_norm = optax.tree.norm(grads)
        learning_rate = schedule(state.step)
        if state.plateau:
            learning_rate = learning_rate * state.plateau["scale"]
        decay = ema_decay_at(config, state.step)
        ok = jnp.isfinite(loss) & jnp.isfinite(grad_norm)

        def update(old: Any, grads: Params, layer: Array | None) -> Any:
            """Of all parameters, of some, or of one layer of some."""
            params, opt_state, ema = old
            updates, opt_state = optimizer.update(
                grads, opt_state, params, norm=grad_norm, layer=layer
            )
            if state.plateau:
                scale = state.plateau["scale"]
                updates = jax.tree.map(lambda update: update * scale, updates)
            params = jax.tree.map(jnp.add, params, updates)
            ema = jax.tree.map(lambda e, p: e + (1 - decay) * (p - e), ema, params)
            return _select(ok, (params, opt_state, ema), old)

        old = dict(state.params), state.opt_state, dict(state.ema)
        params, opt_state, ema = in_turns(update, old, grads, state.ema)
        metrics = {
            "loss": loss,
            "grad_norm": grad_norm,
            "learning_rate": jnp.asarray(learning_rate, jnp.float32),
            "skipped": 1 - ok.astype(jnp.int32),
        }
        new = {"params": params, "opt_state": opt_state, "ema": ema}
        return dataclasses.replace(state, **new, step=state.step + 1), metrics

    return train_step
