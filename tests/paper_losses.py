"""Losses as the papers write them: (network, x, n, level) -> loss_B.

x is data, n noise, both of shape (B, ...): NumPy's float64 or torch tensors. `level` is as
each paper counts it, of NumPy, and so are time and sign: what a network is told, and what it
predicts, are the paper's. Nothing of the library is used here.
"""

import math

import numpy as np

SIGMA_MIN = 1e-5
NDTR = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))
LEVELS = np.array([0.02, 0.3, 0.6, 0.97])
STEPS = np.array([1, 250, 600, 999])
SIGMAS = np.array([0.05, 0.4, 1.5, 30.0])


def col(level, x):
    """To meet x, an array as it is."""
    level = np.reshape(level, (-1,) + (1,) * (x.ndim - 1))
    return level if isinstance(x, np.ndarray) else x.new_tensor(level)


def mean(loss):
    return loss.reshape(len(loss), -1).mean(1)


def flow(network, x, n, t):
    """SD3, Wan, HunyuanVideo: t = 1 is noise."""
    s = col(t, x)
    return mean((network((1 - s) * x + s * n, s) - (n - x)) ** 2)


def clean_frames(network, x, n, t, given):
    """Wan2.2 TI2V-5B: frames `given` (B, F) are data, told t = 0, and not learnt."""
    s = x.new_tensor(np.where(given, 0.0, t[:, None]))
    by_frame = s[..., None, None, None]
    seen = (1 - by_frame) * x + by_frame * n
    error = ((network(seen, s) - (n - x)) ** 2).mean((2, 3, 4))
    learnt = x.new_tensor(~given)
    return (error * learnt).sum(1) / learnt.sum(1)


def negative_flow(network, x, n, t):
    """Open-Sora 1.2: the same, and the network says data - noise."""
    s = col(t, x)
    return mean((network((1 - s) * x + s * n, s) - (x - n)) ** 2)


def reversed_flow(network, x, n, t):
    """Step-Video (5), (6); Mochi, MAGI, Goku, SiT: t = 1 is data."""
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
    """(sqrt of alpha_bar, sqrt of 1 - alpha_bar, what is seen, what is told)."""
    kept, lost = col(alpha_bar[k] ** 0.5, x), col((1 - alpha_bar[k]) ** 0.5, x)
    return kept, lost, kept * x + lost * n, col(k / 1000, x)


def ddpm(network, x, n, k):
    """DDPM (14): eps."""
    *_, z, told = noisy(linear_alpha_bar(), x, n, k)
    return mean((network(z, told) - n) ** 2)


def v_prediction(network, x, n, k):
    kept, lost, z, told = noisy(to_zero(linear_alpha_bar()), x, n, k)
    return mean((network(z, told) - (kept * n - lost * x)) ** 2)


def min_snr_v(network, x, n, k):
    """min(SNR, 5) of x_0's error."""
    table = to_zero(linear_alpha_bar())
    kept, lost, z, told = noisy(table, x, n, k)
    weight = np.minimum(table / (1 - table), 5)
    data = kept * z - lost * network(z, told)
    return mean(col(weight[k], x) * (data - x) ** 2)


def cogvideox(snr_shift):
    """A denoiser of v, weighted with 1 / (1 - alpha_bar)."""

    def loss(network, x, n, k):
        plain = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
        table = to_zero(plain / (snr_shift + (1 - snr_shift) * plain))
        kept, lost, z, told = noisy(table, x, n, k)
        data = kept * z - lost * network(z, told)
        return mean((data - x) ** 2 / lost**2)

    return loss


def edm(scale):
    """EDM (7), (8) and table 1, data of deviation 0.5; level is sigma."""

    def loss(network, x, n, sigma):
        s, d = col(sigma, x), 0.5
        y, deviation = d * x + s * n, (s**2 + d**2) ** 0.5
        c_skip, c_out, c_in = (d / deviation) ** 2, s * d / deviation, 1 / deviation
        denoised = c_skip * y + c_out * network(c_in * y, col(np.log(sigma) / 4, x))
        weight = (s**2 + d**2) / (s * d) ** 2
        return scale * mean(weight * (denoised - d * x) ** 2)

    return loss


def cosmos_2(network, x, n, sigma):
    """Rectified flow as a preconditioner; level is sigma."""
    s = col(sigma, x)
    y, t = x + s * n, s / (1 + s)
    denoised = (1 - t) * y - t * network((1 - t) * y, t)
    return mean((1 + s) ** 2 / s**2 * (denoised - x) ** 2)


def dit(network, x, n, k, lib=np, ndtr=NDTR, stop=lambda x: x):
    """Improved DDPM, section 3.1: L_simple and the bound, in bits, its mean stopped."""
    table = linear_alpha_bar()
    kept, lost, z, told = noisy(table, x, n, k)
    out = network(z, told)
    eps, r = out[..., : x.shape[-1]], out[..., x.shape[-1] :]
    before = np.concatenate([[1.0], table[:-1]])
    beta = 1 - table / before
    least = beta * (1 - before) / (1 - table)
    least[0] = least[1]
    of_data = col((before**0.5 * beta / (1 - table))[k], x)
    of_z = col(((1 - beta) ** 0.5 * (1 - before) / (1 - table))[k], x)
    log_beta, log_least = col(np.log(beta)[k], x), col(np.log(least)[k], x)

    f = (r + 1) / 2
    log_variance = f * log_beta + (1 - f) * log_least
    variance, deviation = lib.exp(log_variance), lib.exp(log_variance / 2)
    mine = of_data * stop((z - lost * eps) / kept) + of_z * z
    theirs = of_data * x + of_z * z
    kl = log_variance - log_least - 1
    kl = kl + (lib.exp(log_least) + (theirs - mine) ** 2) / variance
    above, below = (ndtr((x - mine + b) / deviation) for b in (1 / 255, -1 / 255))
    mass = lib.where(x > 0.999, 1 - below, above - below)
    mass = lib.where(x < -0.999, above, mass)
    bits = lib.where(col(k, x) > 0, kl / 2, -lib.log(lib.clip(mass, 1e-12, None)))
    return mean((eps - n) ** 2) + mean(bits / math.log(2))


def reverse(level):
    return 1 - level


def same(level):
    return level


def of_step(k):
    return (k + 1) / 1000


def of_sigma(s):
    return s / (1 + s)


# name: (the paper's loss, its levels, the u of a level)
PAPERS = {
    **dict.fromkeys(
        ("hunyuan_video", "wan", "ltx", "open_sora_plan_1_5", "cosmos_predict2_5"),
        (flow, LEVELS, same),
    ),
    "open_sora_1_2": (negative_flow, LEVELS, same),
    **dict.fromkeys(
        ("step_video", "goku", "sit", "mochi", "magi"), (reversed_flow, LEVELS, reverse)
    ),
    "movie_gen": (movie_gen, LEVELS, reverse),
    "open_sora_2": (open_sora_2, LEVELS, same),
    "allegro": (ddpm, STEPS, of_step),
    "walt": (v_prediction, STEPS, of_step),
    "open_sora_plan_1_3": (min_snr_v, STEPS, of_step),
    "cogvideox_2b": (cogvideox(3.0), STEPS, of_step),
    "cogvideox_5b": (cogvideox(1.0), STEPS, of_step),
    "cosmos_predict1": (edm(10.0), SIGMAS, of_sigma),
    "snap_video": (edm(1.0), SIGMAS, of_sigma),
    "cosmos_predict2": (cosmos_2, SIGMAS, of_sigma),
    "dit": (dit, STEPS, of_step),
    "latte": (dit, STEPS, of_step),
}
