"""What tests of any part may ask for."""

import jax
import pytest


@pytest.fixture
def optimised():
    """LLVM's optimisations, without which `make test` compiles.

    For tests that are about the last bits: without them no multiplication is fused with the
    sum that follows it. XLA's fusion emitters stay as the process was told when it started.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.clear_caches()  # they do not know the flag
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", before)
