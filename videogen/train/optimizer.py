"""AdamW with warm-up, clipping and a decay mask, from optax."""

import dataclasses

import jax
import optax

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Params

SCHEDULES = ("constant", "cosine")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Learning rates are per step; `decay_steps` is where the cosine ends.

    train_only: patterns (re.search) of the parameters that are trained, which alone have
        gradients, moments and averages; () trains all, or all adapters if there are any.
    """

    learning_rate: float = 1e-4
    schedule: str = "constant"
    warmup_steps: int = 1000
    decay_steps: int = 0  # cosine only
    end_factor: float = 0.1  # cosine's last learning rate over its first
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.9999
    train_only: tuple[str, ...] = ()

    def __post_init__(self):
        if self.schedule not in SCHEDULES:
            raise ConfigError(
                f"optimizer.schedule={self.schedule!r}{suggest(self.schedule, SCHEDULES)}"
            )
        if self.schedule == "cosine" and self.decay_steps <= self.warmup_steps:
            raise ConfigError(
                f"optimizer.decay_steps={self.decay_steps} must exceed "
                f"optimizer.warmup_steps={self.warmup_steps} with a cosine schedule"
            )
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"optimizer.ema_decay={self.ema_decay} must be in [0, 1)")


def make_schedule(config: OptimizerConfig, start: int = 0) -> optax.Schedule:
    """step -> learning rate, of a schedule that begins at step `start`."""
    schedule = _from_zero(config)
    if not start:
        return schedule
    # The optimiser's count lags behind the step where steps were skipped.
    return lambda step: schedule(jax.numpy.maximum(step - start, 0))


def _from_zero(config: OptimizerConfig) -> optax.Schedule:
    if config.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(
            init_value=0.0,
            peak_value=config.learning_rate,
            warmup_steps=config.warmup_steps,
            decay_steps=config.decay_steps,
            end_value=config.learning_rate * config.end_factor,
        )
    warmup = optax.linear_schedule(0.0, config.learning_rate, config.warmup_steps)
    constant = optax.constant_schedule(config.learning_rate)
    return optax.join_schedules([warmup, constant], [config.warmup_steps])


def decay_mask(params: Params) -> dict[str, bool]:
    """True for matrices: biases, norms and modulation tables are not decayed."""
    return {path: path.endswith(".kernel") for path in params}


def make_optimizer(
    config: OptimizerConfig, start: int = 0
) -> optax.GradientTransformation:
    """clip by global norm -> Adam -> decoupled weight decay -> learning rate."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            make_schedule(config, start),
            b1=config.b1,
            b2=config.b2,
            eps=config.eps,
            weight_decay=config.weight_decay,
            mask=decay_mask,
        ),
    )


def ema_decay_at(config: OptimizerConfig, step: jax.Array) -> jax.Array:
    """min(decay, (1 + step) / (10 + step)): a short run's average forgets its start."""
    return jax.numpy.minimum(config.ema_decay, (1.0 + step) / (10.0 + step))
