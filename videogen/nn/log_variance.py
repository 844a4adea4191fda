"""A learned uncertainty of the loss over noise levels: told -> log variance.

s(told) = w . sqrt(2) cos(2 pi (f told + p)), with fixed f ~ N(0, 1) and p ~ U(0, 1), and
w = 0 at the start (EDM2, arXiv 2312.02696, section 2.2 and appendix B.2; Cosmos). Its
parameters lie beside the network's under PREFIX: trained with them, used by the loss alone.
"""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array, Params
from videogen.nn.fence import Network
from videogen.nn.linear import Linear

NUM_FEATURES = 128
PREFIX = "log_variance."


class LogVariance(nnx.Module):
    """s, of the shape of what the network is told."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.linear = Linear(NUM_FEATURES, 1, bias=False, init="zeros", rngs=rngs)

    def __call__(self, told_B: Float[Array, "*B"]) -> Float[Array, "*B"]:
        rng = np.random.default_rng(0)  # fixed: no parameters
        frequency, phase = rng.standard_normal(NUM_FEATURES), rng.random(NUM_FEATURES)
        angle = 2 * np.pi * (told_B[..., None] * jnp.asarray(frequency) + phase)
        features = np.sqrt(2) * jnp.cos(angle)
        return self.linear(features.astype(jnp.float32))[..., 0]


def init_beside(network: Network, log_variance: Network, key: Array) -> Params:
    """The parameters of both."""
    own = {PREFIX + path: x for path, x in log_variance.init(key).items()}
    return {**network.init(key), **own}


def apart(params: Params) -> tuple[Params, Params]:
    """(the network's parameters, the log variance's, which may be none)."""
    own = {path: x for path, x in params.items() if path.startswith(PREFIX)}
    rest = {path: x for path, x in params.items() if path not in own}
    return rest, {path.removeprefix(PREFIX): x for path, x in own.items()}
