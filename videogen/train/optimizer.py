"""AdamW or Muon with warm-up, clipping and a decay mask, from optax."""

import dataclasses
from typing import Any

import jax
import optax
import optax.contrib

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Params
from videogen.nn import quantized
from videogen.train.rounding import in_bfloat16

SCHEDULES = ("constant", "cosine")
OPTIMIZERS = ("adamw", "muon")
MOMENTS = ("float32", "bfloat16")
REDUCE_DTYPES = ("compute", "float32")
PRODUCT_DTYPES = ("compute", *quantized.DTYPES)
# Muon's step has this root mean square, which is AdamW's, so that both take one learning
# rate and decay (arXiv 2502.16982, section 2.2).
MUON_RMS = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Learning rates are per step; `decay_steps` is where the cosine ends.

    name: "muon" orthogonalises the steps of the blocks' matrices; the rest is AdamW's.
    moments: how they are kept; they are computed in float32 (train/rounding.py).
    offload: moments and averages of the blocks are kept in the hosts' memory, and on the
        devices a layer's at a time, for its update (train/offload.py).
    reduce_dtype: of the sums over a mesh of gradients of kernels; "compute": model.dtype.
    product_dtype: of the blocks' products of tokens, their gradients to the kernels apart;
        "int8", "fp8": rounded, row by row (nn/quantized.py); "compute": model.dtype.
    microbatches: parts of a batch whose gradients are added up, one after the other.
    train_only: patterns (re.search) of the parameters that are trained, which alone have
        gradients, moments and averages; () trains all, or all adapters if there are any.
    """

    name: str = "adamw"
    moments: str = "float32"
    offload: bool = False
    reduce_dtype: str = "compute"
    product_dtype: str = "compute"
    microbatches: int = 1
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
        for field, known in _NAMES.items():
            if getattr(self, field) not in known:
                name = getattr(self, field)
                raise ConfigError(f"optimizer.{field}={name!r}{suggest(name, known)}")
        if self.microbatches < 1:
            raise ConfigError(f"optimizer.microbatches={self.microbatches}: at least 1")
        if self.schedule == "cosine" and self.decay_steps <= self.warmup_steps:
            raise ConfigError(
                f"optimizer.decay_steps={self.decay_steps} must exceed "
                f"optimizer.warmup_steps={self.warmup_steps} with a cosine schedule"
            )
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"optimizer.ema_decay={self.ema_decay} must be in [0, 1)")


_NAMES = {
    "schedule": SCHEDULES,
    "name": OPTIMIZERS,
    "moments": MOMENTS,
    "reduce_dtype": REDUCE_DTYPES,
    "product_dtype": PRODUCT_DTYPES,
}


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
) -> optax.GradientTransformationExtraArgs:
    """clip by global norm -> Adam or Muon -> decoupled weight decay -> learning rate.

    Its update is of some of the parameters too, if told the `norm` of all gradients, and of
    one `layer` of each, (1, ...), if told which.
    """
    make = {"adamw": _adamw, "muon": _muon}[config.name]
    inner = make(config, make_schedule(config, start))
    if config.moments == "bfloat16":
        inner = in_bfloat16(inner)
    return optax.chain(_clip(config.clip_norm), optax.with_extra_args_support(inner))


def _clip(most: float) -> optax.GradientTransformationExtraArgs:
    clip = optax.clip_by_global_norm(most)

    def update(
        updates: Any, state: Any, params: Any = None, *, norm: Any = None, **_: Any
    ) -> tuple[Any, Any]:
        if norm is None:
            return clip.update(updates, state, params)

        def clipped(x: jax.Array) -> jax.Array:  # as optax writes it
            return jax.lax.select(norm < most, x, (x / norm.astype(x.dtype)) * most)

        return jax.tree.map(clipped, updates), state

    return optax.GradientTransformationExtraArgs(clip.init, update)


def _adamw(
    config: OptimizerConfig, schedule: optax.Schedule
) -> optax.GradientTransformation:
    return optax.adamw(
        schedule,
        b1=config.b1,
        b2=config.b2,
        eps=config.eps,
        weight_decay=config.weight_decay,
        mask=decay_mask,
    )


def _muon(
    config: OptimizerConfig, schedule: optax.Schedule
) -> optax.GradientTransformation:
    muon = optax.contrib.muon(
        schedule,
        weight_decay=config.weight_decay,
        muon_weight_dimension_numbers=matrices,
        consistent_rms=MUON_RMS,
    )

    def label(params: Any) -> Any:
        return {
            x: "adamw" if dims is None else "muon"
            for x, dims in matrices(params).items()
        }

    return optax.partition({"muon": muon, "adamw": _adamw(config, schedule)}, label)


def matrices(params: Any) -> Any:
    """{path: which dims are a matrix's (in, out)}; None: it is none of the blocks'."""
    dims = optax.contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=2)
    return {
        path: dims if path.endswith(".kernel") and getattr(x, "ndim", 0) == 3 else None
        for path, x in params.items()
    }


def ema_decay_at(config: OptimizerConfig, step: jax.Array) -> jax.Array:
    """min(decay, (1 + step) / (10 + step)): a short run's average forgets its start."""
    return jax.numpy.minimum(config.ema_decay, (1.0 + step) / (10.0 + step))
