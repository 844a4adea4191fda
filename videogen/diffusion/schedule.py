"""Noise schedules of Gaussian diffusion: alpha_bar of T steps, in NumPy float64.

    z_k = sqrt(alpha_bar_k) x_0 + sqrt(1 - alpha_bar_k) noise,  k = 0 ... T - 1
    alpha_bar_k = prod_{j <= k} (1 - beta_j)

linear         beta from b to b' (DDPM, arXiv 2006.11239: 1e-4 to 0.02 in 1000 steps)
scaled_linear  sqrt(beta) from sqrt(b) to sqrt(b') (latent diffusion; CogVideoX)
cosine         alpha_bar = cos^2 of time, beta at most 0.999 (arXiv 2102.09672, (17))

Then, in this order: the SNR divided by `snr_shift` (CogVideoX-2B: 3), and sqrt(alpha_bar)
moved and stretched to end at 0 (zero terminal SNR, arXiv 2305.08891, algorithm 1).
"""

import numpy as np

KINDS = ("linear", "scaled_linear", "cosine")


def betas(kind: str, num_steps: int, first: float, last: float) -> np.ndarray:
    """beta_k, float64, (num_steps,). Cosine ignores `first` and `last`."""
    if kind == "linear":
        return np.linspace(first, last, num_steps)
    if kind == "scaled_linear":
        return np.linspace(first**0.5, last**0.5, num_steps) ** 2
    time = np.arange(num_steps + 1) / num_steps
    level = np.cos((time + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - level[1:] / level[:-1], 0.999)


def alpha_bar(
    kind: str,
    num_steps: int,
    beta: tuple[float, float],
    *,
    snr_shift: float = 1.0,
    zero_terminal_snr: bool = False,
) -> np.ndarray:
    """alpha_bar_k, float64, (num_steps,), falling."""
    product = np.cumprod(1 - betas(kind, num_steps, *beta))
    product = product / (snr_shift + (1 - snr_shift) * product)
    if zero_terminal_snr:
        root = np.sqrt(product)
        product = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    return product
