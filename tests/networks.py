"""Parameters for tests: random everywhere, so that no gate is shut and nothing is zero."""

import jax.numpy as jnp
import numpy as np

from videogen.nn.fence import Network


def random_params(network: Network) -> dict:
    """Normal values of spread 0.2, around 1 for the scales of norms. Compiles nothing."""
    rng = np.random.default_rng(0)
    return {
        path: jnp.asarray(
            0.2 * rng.standard_normal(leaf.shape, np.float32) + path.endswith(".scale")
        )
        for path, leaf in sorted(network.abstract().items())
    }
