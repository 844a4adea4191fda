"""What tests of any part may ask for."""

import jax
import pytest


@pytest.fixture
def optimised():
    """Programs as users compile them, where `make test` compiles quickly.

    For tests that are about the last bits: without LLVM's optimisations no multiplication is
    fused with the sum that follows it.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.clear_caches()  # they do not know the flag
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", before)
