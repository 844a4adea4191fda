"""A learned variance of the reverse step: DiT's and Latte's second output.

Improved DDPM (arXiv 2102.09672, section 3.1). Of steps k with beta_k = 1 - alpha_bar_k /
alpha_bar_{k-1}, the posterior q(z_{k-1} | z_k, x_0) is normal with

    mean      c0 x_0 + c1 z_k,  c0 = sqrt(alpha_bar_{k-1}) beta_k / (1 - alpha_bar_k)
                                c1 = sqrt(1 - beta_k) (1 - alpha_bar_{k-1}) / (1 - alpha_bar_k)
    variance  beta~_k = beta_k (1 - alpha_bar_{k-1}) / (1 - alpha_bar_k)

and the network's r interpolates the logarithm of p's: f log beta_k + (1 - f) log beta~_k,
f = (r + 1) / 2; its mean has the predicted x_0, through which no gradient flows. The term is
KL(q || p) in bits per number; at k = 0, where q is a point, -log2 p(x_0) of x_0 in bins of
1/127.5 that end at -1 and 1, as of pixels. (beta~_0 = 0 counts as beta~_1.)
"""

import jax
import jax.numpy as jnp
import numpy as np

from videogen.core.types import Array

BIN = 1 / 255  # half of a bin
SMALLEST = 1e-12  # of a probability


def posterior(alpha_bar: np.ndarray) -> np.ndarray:
    """[c0, c1, log beta, log beta~] of every step, float64, (4, T)."""
    before = np.concatenate([[1.0], alpha_bar[:-1]])
    beta = 1 - alpha_bar / before
    c0 = np.sqrt(before) * beta / (1 - alpha_bar)
    c1 = np.sqrt(1 - beta) * (1 - before) / (1 - alpha_bar)
    variance = beta * (1 - before) / (1 - alpha_bar)
    variance[0] = variance[1]
    return np.stack([c0, c1, np.log(beta), np.log(variance)])


def bound(
    z: Array,
    x_0: Array,
    predicted: Array,
    r: Array,
    step_B: Array,
    alpha_bar: np.ndarray,
) -> Array:
    """The term, of z's shape, in bits. `predicted` x_0; `step_B` int32, k per example."""
    table = jnp.asarray(posterior(alpha_bar), jnp.float32)
    step = step_B.reshape(step_B.shape + (1,) * (z.ndim - step_B.ndim))
    c0, c1, log_beta, log_least = (row[step] for row in table)
    fraction = (r + 1) / 2
    log_variance = fraction * log_beta + (1 - fraction) * log_least
    mean = jax.lax.stop_gradient(c0 * predicted + c1 * z)
    difference = c0 * x_0 + c1 * z - mean
    divergence = 0.5 * (
        log_variance
        - log_least
        + jnp.exp(log_least - log_variance)
        + jnp.square(difference) * jnp.exp(-log_variance)
        - 1
    )
    nats = jnp.where(step == 0, -log_bin(x_0, mean, log_variance), divergence)
    return nats / np.log(2)


def log_bin(x: Array, mean: Array, log_variance: Array) -> Array:
    """log of a normal's mass on the bin of x; the first and the last bin are open."""
    scale = jnp.exp(-0.5 * log_variance)
    above = jax.scipy.special.ndtr((x - mean + BIN) * scale)
    below = jax.scipy.special.ndtr((x - mean - BIN) * scale)
    mass = jnp.where(x < -0.999, above, jnp.where(x > 0.999, 1 - below, above - below))
    return jnp.log(jnp.maximum(mass, SMALLEST))
