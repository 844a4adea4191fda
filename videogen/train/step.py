"""One optimiser step, pure: (state, batch) -> (state, metrics).

Randomness is key(seed, step, stream), the batch is a function of the step, so a resumed
run repeats an uninterrupted one bit for bit.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from videogen.core import prng
from videogen.core.types import Array, Batch, Params
from videogen.diffusion.loss import flow_loss
from videogen.diffusion.time import TimeSampler
from videogen.models.conditions import bind
from videogen.nn.fence import Network
from videogen.train.optimizer import OptimizerConfig, ema_decay_at, make_schedule
from videogen.train.state import TrainState

Metrics = dict[str, Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss of a batch: corrupt normalised latents at sampled times, regress velocity."""

    network: Network
    time: TimeSampler
    normalise: Callable[[Array], Array]  # latent_BFHWC as stored -> unit variance
    seed: int

    def __call__(self, params: Params, batch: Batch, step: Array) -> Array:
        x_0 = self.normalise(batch["latent_BFHWC"])
        t_B = self.time(prng.key(self.seed, step, "time"), x_0.shape[0])
        noise = jax.random.normal(prng.key(self.seed, step, "noise"), x_0.shape)
        return jnp.mean(flow_loss(bind(self.network, params, batch), x_0, noise, t_B))


def _select(ok: Array, new: TrainState, old: TrainState) -> TrainState:
    return jax.tree.map(lambda a, b: jnp.where(ok, a, b), new, old)


def make_train_step(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    config: OptimizerConfig,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """The step. A non-finite loss or gradient changes nothing but `step` and is counted."""
    schedule = make_schedule(config)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        loss, grads = jax.value_and_grad(objective)(state.params, batch, state.step)
        grad_norm = optax.tree.norm(grads)
        updates, opt_state = optimizer.update(
            grads, state.opt_state, dict(state.params)
        )
        params = jax.tree.map(jnp.add, dict(state.params), updates)
        decay = ema_decay_at(config, state.step)
        ema = jax.tree.map(lambda e, p: e + (1 - decay) * (p - e), state.ema, params)
        ok = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
        new = TrainState(step=state.step, params=params, opt_state=opt_state, ema=ema)
        kept = _select(ok, new, state)
        metrics = {
            "loss": loss,
            "grad_norm": grad_norm,
            "learning_rate": jnp.asarray(schedule(state.step), jnp.float32),
            "skipped": 1 - ok.astype(jnp.int32),
        }
        return dataclasses.replace(kept, step=state.step + 1), metrics

    return train_step
