"""Losses as the papers write them, in NumPy float64: (network, x, n, level) -> loss_B.

x is data, n noise, both of shape (B, ...); `level` as each paper counts it. Nothing of the
library is used here.
"""

import math

import numpy as np

SIGMA_MIN = 1e-5
NDTR = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))


def col(level, x):
    return np.reshape(level, (-1,) + (1,) * (x.ndim - 1))


def mean(loss):
    return loss.reshape(len(loss), -1).mean(1)


def flow(network, x, n, t):
    """SD3, Wan, HunyuanVideo: t = 1 is noise."""
    s = col(t, x)
    return mean((network((1 - s) * x + s * n, s) - (n - x)) ** 2)


def negative_flow(network, x, n, t):
    """Open-Sora 1.2, Mochi: the same, and the network says data - noise."""
    s = col(t, x)
    return mean((network((1 - s) * x + s * n, s) - (x - n)) ** 2)


def reversed_flow(network, x, n, t):
    """Step-Video (5), (6); MAGI, Goku, SiT: t = 1 is data."""
    s = col(t, x)
    return mean((network((1 - s) * n + s * x, s) - (x - n)) ** 2)


def movie_gen(network, x, n, t):
    """Movie Gen, section 3.1.2: X_1 data, X_0 noise."""
    s = col(t, x)
    x_t = s * x + (1 - (1 - SIGMA_MIN) * s) * n
    return mean((network(x_t, s) - (x - (1 - SIGMA_MIN) * n)) ** 2)


def open_sora_2(network, x, n, t):
    s = col(t, x)
    x_t = (1 - s) * x + (1 - (1 - SIGMA_MIN) * (1 - s)) * n
    return mean((network(x_t, s) - ((1 - SIGMA_MIN) * n - x)) ** 2)


def linear_alpha_bar():
    return np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def to_zero(alpha_bar):
    """Zero terminal SNR."""
    root = np.sqrt(alpha_bar)
    return ((root - root[-1]) / (root[0] - root[-1]) * root[0]) ** 2


def noisy(alpha_bar, x, n, k):
    a = col(alpha_bar[k], x)
    return a, np.sqrt(a) * x + np.sqrt(1 - a) * n, col(k / 1000, x)


def ddpm(network, x, n, k):
    """DDPM (14): eps."""
    _, z, told = noisy(linear_alpha_bar(), x, n, k)
    return mean((network(z, told) - n) ** 2)


def v_prediction(network, x, n, k):
    a, z, told = noisy(to_zero(linear_alpha_bar()), x, n, k)
    return mean((network(z, told) - (np.sqrt(a) * n - np.sqrt(1 - a) * x)) ** 2)


def min_snr_v(network, x, n, k):
    """min(SNR, 5) of x_0's error."""
    a, z, told = noisy(to_zero(linear_alpha_bar()), x, n, k)
    data = np.sqrt(a) * z - np.sqrt(1 - a) * network(z, told)
    return mean(np.minimum(a / (1 - a), 5) * (data - x) ** 2)


def cogvideox(snr_shift):
    """A denoiser of v, weighted with 1 / (1 - alpha_bar)."""

    def loss(network, x, n, k):
        plain = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
        table = to_zero(plain / (snr_shift + (1 - snr_shift) * plain))
        a, z, told = noisy(table, x, n, k)
        data = np.sqrt(a) * z - np.sqrt(1 - a) * network(z, told)
        return mean((data - x) ** 2 / (1 - a))

    return loss


def edm(scale):
    """EDM (7), (8) and table 1, data of deviation 0.5; level is sigma."""

    def loss(network, x, n, sigma):
        s, d = col(sigma, x), 0.5
        y = d * x + s * n
        c_skip, c_out = d**2 / (s**2 + d**2), s * d / np.sqrt(s**2 + d**2)
        c_in, c_noise = 1 / np.sqrt(s**2 + d**2), np.log(s) / 4
        denoised = c_skip * y + c_out * network(c_in * y, c_noise)
        weight = (s**2 + d**2) / (s * d) ** 2
        return scale * mean(weight * (denoised - d * x) ** 2)

    return loss


def cosmos_2(network, x, n, sigma):
    """Rectified flow as a preconditioner; level is sigma."""
    s = col(sigma, x)
    y, t = x + s * n, s / (1 + s)
    denoised = (1 - t) * y - t * network((1 - t) * y, t)
    return mean((1 + s) ** 2 / s**2 * (denoised - x) ** 2)


def dit(network, x, n, k):
    """Improved DDPM, section 3.1: L_simple and the bound, in bits, its mean stopped."""
    table = linear_alpha_bar()
    a, z, told = noisy(table, x, n, k)
    eps, r = np.split(network(z, told), 2, axis=-1)
    before = col(np.where(k > 0, table[np.maximum(k - 1, 0)], 1.0), x)
    beta = 1 - a / before
    least = np.where(
        col(k, x) > 0,
        beta * (1 - before) / (1 - a),
        (1 - table[1] / table[0]) * (1 - table[0]) / (1 - table[1]),
    )

    def posterior(data):
        return (
            np.sqrt(before) * beta * data + np.sqrt(1 - beta) * (1 - before) * z
        ) / (1 - a)

    f = (r + 1) / 2
    variance = np.exp(f * np.log(beta) + (1 - f) * np.log(least))
    mine = posterior((z - np.sqrt(1 - a) * eps) / np.sqrt(a))
    kl = np.log(variance / least) + (least + (posterior(x) - mine) ** 2) / variance - 1
    deviation = np.sqrt(variance)
    above, below = (NDTR((x - mine + b) / deviation) for b in (1 / 255, -1 / 255))
    mass = np.where(x < -0.999, above, np.where(x > 0.999, 1 - below, above - below))
    bits = np.where(col(k, x) > 0, kl / 2, -np.log(np.maximum(mass, 1e-12)))
    return mean((eps - n) ** 2) + mean(bits / np.log(2))
