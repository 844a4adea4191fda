"""Weights of the loss over noise levels.

A published weight is of the error of x_0. An error e of the network's y is an error
(sigma / d) e of x_0 (prediction.py), so on y the weight is (sigma / d)^2 times as large:

name           of x_0's error                               of y's error
none                                                        1
inverse_noise  1 / (1 - alpha_bar)                          (alpha^2 + sigma^2) / d^2
min_snr        min(SNR, gamma)                              min(alpha^2, gamma sigma^2) / d^2

with SNR = alpha^2 / sigma^2 and 1 - alpha_bar = sigma^2 / (alpha^2 + sigma^2).
`inverse_noise` is CogVideoX's, and EDM's (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 of
data of deviation sigma_data; of v and of EDM's F it is 1. `min_snr`: arXiv 2303.09556.
"""

import jax.numpy as jnp

from videogen.core.types import Array
from videogen.diffusion.prediction import Prediction

NAMES = ("none", "inverse_noise", "min_snr")


def weight(name: str, p: Prediction, gamma: float) -> Array:
    """The weight of the squared error of y; `gamma` is min_snr's."""
    if name == "inverse_noise":
        return (p.alpha**2 + p.sigma**2) / p.determinant**2
    return jnp.minimum(p.alpha**2, gamma * p.sigma**2) / p.determinant**2
