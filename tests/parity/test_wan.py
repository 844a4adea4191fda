"""Wan against PyTorch: the same random weights through diffusers' transformer."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.models.wan.config import WanConfig
from videogen.models.wan.model import make
from videogen.nn.fence import Network
from videogen.nn.modulation import modulated_norm
from videogen.nn.norm import LayerNorm, RMSNorm
from videogen.nn.position import grid_coordinates, rope, rope_split
from videogen.nn.timestep import sinusoid

pytestmark = pytest.mark.parity

# diffusers' names -> ours, in this order.
NAMES = (
    (r"\.to_out\.0\.", ".to_out."),
    (r"\.ffn\.net\.0\.proj\.", ".ffn.up."),
    (r"\.ffn\.net\.2\.", ".ffn.down."),
    (r"(\.norm\w+)\.weight$", r"\1.scale"),
    (r"\.weight$", ".kernel"),
)
# (head dim, patch, latent frames, height, width): no two sizes of a grid are equal.
CASES = [
    (12, (1, 2, 2), (3, 8, 10)),
    (32, (1, 2, 4), (2, 6, 16)),
    (16, (2, 1, 3), (4, 5, 9)),
]
T_B = np.array([0.0, 0.3127, 1.0], np.float32)


@pytest.fixture(scope="module")
def diffusers():
    pytest.importorskip("torch")
    import diffusers

    return diffusers


def random_state(model) -> dict[str, np.ndarray]:
    """Every tensor of the model, none of them zero: the scales of norms are around 1."""
    rng = np.random.default_rng(0)
    return {
        name: 0.2 * rng.standard_normal(tuple(value.shape), np.float32)
        + bool(re.search(r"norm\w+\.weight$", name))
        for name, value in model.state_dict().items()
    }


def our_name(name: str) -> tuple[str, int | None]:
    """Our path of a tensor, and its layer if it is of a block."""
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    block = re.match(r"blocks\.(\d+)\.", name)
    if block is None:
        return name, None
    return name.replace(block[0], "blocks.", 1), int(block[1])


def our_layout(value: np.ndarray) -> np.ndarray:
    """Linear (out, in), convolution (out, C, pt, ph, pw), table (1, J, D), or vector."""
    if value.ndim == 5:
        return value.transpose(2, 3, 4, 1, 0).reshape(-1, value.shape[0])
    if value.ndim == 3:
        return value[0]
    return value.T


def our_params(network: Network, state: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """Fails unless every tensor is used once and every entry of ours is filled once."""
    want = network.abstract()
    params = {path: np.zeros(leaf.shape, leaf.dtype) for path, leaf in want.items()}
    filled = {path: np.zeros(leaf.shape, int) for path, leaf in want.items()}
    for name, value in state.items():
        path, layer = our_name(name)
        at = ... if layer is None else layer
        value = our_layout(value)
        assert params[path][at].shape == value.shape, name
        params[path][at] = value
        filled[path][at] += 1
    assert [path for path, count in filled.items() if (count != 1).any()] == []
    return {path: jnp.asarray(value) for path, value in params.items()}


def tiny(head_dim: int, patch: tuple[int, int, int]) -> WanConfig:
    return WanConfig(
        patch=patch,
        width=2 * head_dim,
        depth=2,
        num_heads=2,
        mlp_width=40,
        text_dim=16,
        freq_dim=32,
        mask_text=False,
    )


def their_model(diffusers, config: WanConfig):
    return diffusers.WanTransformer3DModel(
        patch_size=config.patch,
        num_attention_heads=config.num_heads,
        attention_head_dim=config.head_dim,
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        text_dim=config.text_dim,
        freq_dim=config.freq_dim,
        ffn_dim=config.mlp_width,
        num_layers=config.depth,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
    ).eval()


def their_velocity(model, latent_BFHWC, t_B, text_BLD) -> np.ndarray:
    """velocity_BFHWC; their time runs to 1000, their channels come before frames."""
    import torch

    latent_BCFHW = torch.from_numpy(latent_BFHWC).permute(0, 4, 1, 2, 3).contiguous()
    with torch.no_grad():
        velocity_BCFHW = model(
            latent_BCFHW, torch.from_numpy(1000 * t_B), torch.from_numpy(text_BLD)
        ).sample
    return velocity_BCFHW.permute(0, 2, 3, 4, 1).numpy()


@pytest.mark.parametrize("head_dim, patch, sizes", CASES)
def test_velocities_agree(diffusers, head_dim, patch, sizes):
    import torch

    config = tiny(head_dim, patch)
    theirs, network = their_model(diffusers, config), Network.of(make(config))
    state = random_state(theirs)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    params = our_params(network, state)

    rng = np.random.default_rng(1)
    latent_BFHWC = rng.standard_normal((3, *sizes, config.latent_channels), np.float32)
    text_BLD = rng.standard_normal((3, 7, config.text_dim), np.float32)
    want = their_velocity(theirs, latent_BFHWC, T_B, text_BLD)
    got = jax.jit(network.apply)(params, latent_BFHWC, T_B, text_BLD)
    error = np.abs(np.asarray(got) - want).max() / np.abs(want).max()
    print(
        f"largest difference {error:.2e} of the largest value {np.abs(want).max():.2f}"
    )
    assert error < 1e-5


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
