"""From a network's prediction to a loss for training, and to a velocity for sampling."""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.diffusion import variance
from videogen.diffusion.flow import Velocity, per_example
from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.path import DDPM, Path
from videogen.diffusion.prediction import Prediction
from videogen.diffusion.weight import weight

# (z, told) -> y, or y and r along channels (objective.py). Conditions are bound already.
Predict = Callable[[Array, Array], Array]
STEPS_TOLD = 1000  # networks multiply the time that they are told by it
LEAST_SIGMA = 0.002  # that a network is told (EDM's last, table 1)
LEAST_ALPHA = 1e-3  # where sampling begins, if noise is predicted up to u = 1


@dataclasses.dataclass(frozen=True)
class Target:
    """An objective at work. Data, noise and z are (B, F, H, W, C); u is (B,) or (B, F)."""

    config: ObjectiveConfig = ObjectiveConfig()

    @functools.cached_property
    def path(self) -> Path:
        """From data to noise."""
        return self.config.path_of()

    @property
    def end(self) -> float:
        """The t where sampling begins."""
        noise = self.config.predict == "noise"
        return min(self.path.end, 1 - LEAST_ALPHA) if noise else self.path.end

    def told(self, u: Array) -> Array:
        """What the network is told of u."""
        told = {
            "time": lambda: u,
            "data_time": lambda: 1 - u,
            "step": lambda: jnp.maximum(u * self.config.num_steps - 1, 0) / STEPS_TOLD,
            "log_sigma": lambda: jnp.log(jnp.maximum(u / (1 - u), LEAST_SIGMA)) / 4,
        }[self.config.told]()
        return told if self.config.told_scale == 1 else told * self.config.told_scale

    def prediction(self, u: Array, like: Array) -> Prediction:
        """What is predicted at u, to meet arrays `like` this one."""
        alpha, sigma = self.path.coefficients(per_example(u, like))
        config = self.config
        return Prediction.of(
            *(config.predict, alpha, sigma),
            sigma_min=config.sigma_min,
            sign=config.sign,
        )

    def loss(
        self,
        predict: Predict,
        x_0: Array,
        noise: Array,
        u: Array,
        learn_BF: Array | None = None,
    ) -> Array:
        """loss_B, float32, of the frames where `learn_BF` (default: all of them)."""
        p = self.prediction(u, x_0)
        z, config = p.see(x_0, noise), self.config
        y, r = self._split(predict(z, self.told(u)), x_0)
        loss = jnp.square(y - p.target(x_0, noise))
        if config.weight != "none":
            loss = weight(config.weight, p, config.gamma) * loss
        if config.learn_sigma:
            if r is None:
                raise ConfigError(
                    "objective.learn_sigma=True needs a network that predicts "
                    f"{2 * y.shape[-1]} channels, and this one predicts {y.shape[-1]}"
                )
            assert isinstance(self.path, DDPM)
            step = jnp.round(u * config.num_steps).astype(jnp.int32) - 1
            predicted = p.data(z, y)
            loss += variance.bound(z, x_0, predicted, r, step, self.path.alpha_bar)
        loss_B = mean_of(loss, learn_BF)
        return loss_B if config.scale == 1 else config.scale * loss_B

    def error(self, predict: Predict, x_0: Array, noise: Array, u: Array) -> Array:
        """error_B: the mean squared error of y alone, without weight or scale, float32."""
        p = self.prediction(u, x_0)
        y, _ = self._split(predict(p.see(x_0, noise), self.told(u)), x_0)
        return mean_of(jnp.square(y - p.target(x_0, noise)))

    def velocity(self, predict: Predict) -> Velocity:
        """noise - x_0 at our (x_t, t), as the network predicts it."""
        config = self.config
        straight = config.predict == "velocity" and not config.sigma_min

        def velocity(x_t: Array, t_B: Array) -> Array:
            u = self.path.clock(t_B)
            p = self.prediction(u, x_t)
            z = x_t if straight else x_t * (p.alpha + p.sigma)
            y, _ = self._split(predict(z, self.told(u)), x_t)
            return config.sign * y if straight else p.velocity(z, y)

        return velocity

    def _split(self, out: Array, x: Array) -> tuple[Array, Array | None]:
        """(y, r) of a network's channels, float32."""
        channels = x.shape[-1]
        if out.shape[-1] not in (channels, 2 * channels):
            raise ConfigError(
                f"the network predicts {out.shape[-1]} channels of {channels}-channel "
                "latents; as many or twice as many would work"
            )
        out = out.astype(jnp.float32)
        if out.shape[-1] == channels:
            return out, None
        return out[..., :channels], out[..., channels:]


FLOW = Target()  # rectified flow, as flow.py has it


def mean_of(loss: Array, learn_BF: Array | None = None) -> Array:
    """loss_B: the mean over numbers; over the frames where `learn_BF`."""
    if learn_BF is None:
        return jnp.mean(loss, axis=tuple(range(1, loss.ndim)))
    loss_BF = jnp.mean(loss, axis=tuple(range(2, loss.ndim)))
    learn_BF = learn_BF.astype(jnp.float32)
    return jnp.sum(loss_BF * learn_BF, axis=1) / jnp.sum(learn_BF, axis=1)
