"""Parts of networks against PyTorch: norms, rotations, sinusoids of time."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.nn.modulation import modulated_norm
from videogen.nn.norm import LayerNorm, RMSNorm
from videogen.nn.position import grid_coordinates, rope, rope_split
from videogen.nn.timestep import sinusoid

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def diffusers():
    pytest.importorskip("torch")
    import diffusers

    return diffusers


def test_norms_of_small_numbers_agree(diffusers):
    """Of numbers near sqrt(eps), so that another eps would show."""
    import torch
    from diffusers.models.transformers.transformer_wan import WanTransformerBlock

    block = WanTransformerBlock(dim=24, ffn_dim=8, num_heads=2, cross_attn_norm=True)
    x_BND = 1e-3 * np.random.default_rng(2).standard_normal((1, 5, 24), np.float32)
    zero = jnp.zeros((1, 1, 24))
    pairs = [
        (block.norm1, lambda x: modulated_norm(x, zero, zero)),
        (block.norm2, LayerNorm(24)),
        (block.norm3, lambda x: modulated_norm(x, zero, zero)),
        (block.attn1.norm_q, RMSNorm(24)),
        (block.attn2.norm_k, RMSNorm(24)),
    ]
    for theirs, ours in pairs:
        want = theirs(torch.from_numpy(x_BND)).detach().numpy()
        got = np.asarray(ours(jnp.asarray(x_BND)))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("head_dim", [12, 16, 32, 128])
def test_rotations_agree(diffusers, head_dim):
    """The split over (frame, row, column), the frequencies and their order."""
    import torch
    from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

    grid = (21, 6, 9)
    theirs = WanRotaryPosEmbed(head_dim, (1, 1, 1), max_seq_len=32)
    want_cos, want_sin = theirs(torch.zeros(1, 1, *grid))
    cos_NE, sin_NE = rope(grid_coordinates(grid), rope_split(head_dim))
    for got_NE, want in ((cos_NE, want_cos), (sin_NE, want_sin)):
        want_NE = want.numpy()[0, :, 0]
        np.testing.assert_allclose(got_NE, want_NE, rtol=0, atol=3e-6)


def test_sinusoids_of_time_agree(diffusers):
    import torch
    from diffusers.models.embeddings import Timesteps

    t_B = np.linspace(0, 1, 101, dtype=np.float32)
    theirs = Timesteps(256, flip_sin_to_cos=True, downscale_freq_shift=0)
    want = theirs(torch.from_numpy(1000 * t_B)).numpy()
    got = np.asarray(sinusoid(jnp.asarray(t_B), 256))
    # Both take exp and cos of float32: an angle of 1000 is off by up to 1e-4.
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-4)
