"""Where a sampler evaluates: num_steps + 1 times u from 1 down to 0, in NumPy float64.

uniform           equal intervals
linear_quadratic  the first half of the steps are the first of a uniform grid of 1000 for 50
                  of ours (1 - u up to 0.025 in equal steps), the others grow, the first of
                  them as long (Movie Gen, arXiv 2410.13720, section 3.4.2; Mochi)
karras            s^(1/7) in equal steps from 80 to 0.002, then 0; u = s / (1 + s)
                  (EDM, arXiv 2206.00364, (5))
"""

import numpy as np

SCHEDULES = ("uniform", "linear_quadratic", "karras")


def linear_quadratic(num_steps: int, threshold: float = 0.025) -> np.ndarray:
    """u: linear until 1 - u = threshold, at half the steps; a parabola after that."""
    first = num_steps // 2
    last = num_steps - first
    slope = threshold / first if first else 0.0
    reached = threshold if first else 0.0
    bend = (1 - reached - slope * last) / last**2
    i = np.arange(num_steps + 1) - first
    return 1 - (reached + slope * i + np.where(i > 0, bend, 0) * i**2)


def karras(
    num_steps: int, first: float = 80.0, last: float = 0.002, rho: float = 7.0
) -> np.ndarray:
    """u of EDM's sigmas."""
    place = np.linspace(0, 1, num_steps)
    root = first ** (1 / rho) * (1 - place) + last ** (1 / rho) * place
    sigma = np.concatenate([root**rho, [0.0]])
    return sigma / (1 + sigma)
