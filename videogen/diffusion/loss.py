"""From a network's prediction to a loss for training, and to a velocity for sampling."""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp

from videogen.core.errors import ConfigError
from videogen.core.types import Array, Parts
from videogen.diffusion import variance
from videogen.diffusion.flow import Velocity, per_example
from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.parts import each
from videogen.diffusion.path import DDPM, Path
from videogen.diffusion.prediction import Prediction
from videogen.diffusion.weight import weight

# (z, told) -> y, or y and r along channels (objective.py). Conditions are bound already.
Predict = Callable[[Parts, Parts], Parts]
STEPS_TOLD = 1000  # networks multiply the time that they are told by it
LEAST_SIGMA = 0.002  # that a network is told (EDM's last, table 1)
LEAST_ALPHA = 1e-3  # where sampling begins, if noise is predicted up to u = 1


@dataclasses.dataclass(frozen=True)
class Target:
    """An objective at work. Data, noise and z are (B, F, H, W, C); u is (B,) or (B, F).

    Or data, noise and z are dicts of parts (parts.py), of any rank, and then u may be one
    too; what is given for each part comes back for each.
    """

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
        x_0: Parts,
        noise: Parts,
        u: Parts,
        learn: Parts | None = None,
    ) -> Parts:
        """loss_B, float32, of the frames where `learn` (B, F; default: all of them)."""
        p = each(self._prediction, x_0, u)
        z = each(_see, x_0, noise, p)
        out = predict(z, each(self.told, u))
        return each(self._loss, out, x_0, noise, u, learn, p, z)

    def _loss(
        self,
        out: Array,
        x_0: Array,
        noise: Array,
        u: Array,
        learn_BF: Array | None,
        p: Prediction,
        z: Array,
    ) -> Array:
        config = self.config
        y, r = self._split(out, x_0)
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

    def error(
        self,
        predict: Predict,
        x_0: Parts,
        noise: Parts,
        u: Array,
        learn_BF: Array | None = None,
    ) -> Parts:
        """error_B: the mean squared error of y alone, without weight or scale, float32."""
        p = each(self._prediction, x_0, u)
        out = predict(each(_see, x_0, noise, p), self.told(u))

        def error(out: Array, x_0: Array, noise: Array, p: Prediction) -> Array:
            y, _ = self._split(out, x_0)
            return mean_of(jnp.square(y - p.target(x_0, noise)), learn_BF)

        return each(error, out, x_0, noise, p)

    def velocity(self, predict: Predict) -> Velocity:
        """noise - x_0 at our (x_t, t), as the network predicts it."""
        config = self.config
        straight = config.predict == "velocity" and not config.sigma_min

        def seen(x_t: Array, p: Prediction) -> Array:
            return x_t if straight else x_t * (p.alpha + p.sigma)

        def forward(out: Array, x_t: Array, z: Array, p: Prediction) -> Array:
            y, _ = self._split(out, x_t)
            return config.sign * y if straight else p.velocity(z, y)

        def velocity(x_t: Parts, t: Parts) -> Parts:
            u = each(self.path.clock, t)
            p = each(self._prediction, x_t, u)
            z = each(seen, x_t, p)
            return each(forward, predict(z, each(self.told, u)), x_t, z, p)

        return velocity

    def _prediction(self, like: Array, u: Array) -> Prediction:
        return self.prediction(u, like)

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


def _see(x_0: Array, noise: Array, p: Prediction) -> Array:
    return p.see(x_0, noise)


FLOW = Target()  # rectified flow, as flow.py has it


def mean_of(loss: Array, learn_BF: Array | None = None) -> Array:
    """loss_B: the mean over numbers; over the frames where `learn_BF`."""
    if learn_BF is None:
        return jnp.mean(loss, axis=tuple(range(1, loss.ndim)))
    loss_BF = jnp.mean(loss, axis=tuple(range(2, loss.ndim)))
    learn_BF = learn_BF.astype(jnp.float32)
    return jnp.sum(loss_BF * learn_BF, axis=1) / jnp.sum(learn_BF, axis=1)
