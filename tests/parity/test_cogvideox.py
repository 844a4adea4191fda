"""CogVideoX against diffusers: outputs, gradients, weights both ways."""

import numpy as np
import pytest
from parity.harness import check_parity

from videogen.models.cogvideox import weights
from videogen.models.cogvideox.config import CogVideoXConfig
from videogen.models.cogvideox.model import make
from videogen.nn.fence import Network

pytestmark = pytest.mark.parity
rng = np.random.default_rng(1)
T_B = np.array([0.0, 0.3127, 1.0], np.float32)
WIDTH, HEADS, TEXT = 48, 3, 7  # heads of 16: (4, 6, 6)


@pytest.fixture(scope="module")
def diffusers():
    pytest.importorskip("torch")
    import diffusers

    return diffusers


def draw(*shape):
    return rng.standard_normal(shape, np.float32)


def frames_first(latent_BFHWC):
    import torch

    return torch.from_numpy(np.moveaxis(latent_BFHWC, -1, 2).copy())


def config_of(**more):
    sizes = {"latent_channels": 4, "width": WIDTH, "depth": 2, "num_heads": HEADS}
    sizes |= {"mlp_width": 4 * WIDTH, "text_dim": 16, "freq_dim": WIDTH}
    return CogVideoXConfig(**(sizes | {"time_dim": 24, "mask_text": False} | more))


def check(diffusers, config, latent_sizes, *, learned=False):
    """theirs: the grid at which they need not make positions anew is the latent's."""
    import torch
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    frames, height, width = latent_sizes
    is_rope, has_offset = config.position == "rope", config.offset is not None
    model = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=HEADS,
        attention_head_dim=WIDTH // HEADS,
        in_channels=config.latent_channels + config.given_channels,
        out_channels=config.latent_channels,
        time_embed_dim=config.time_dim,
        ofs_embed_dim=config.time_dim if has_offset else None,
        text_embed_dim=config.text_dim,
        num_layers=config.depth,
        sample_width=width,
        sample_height=height,
        sample_frames=4 * (frames - 1) + 1,
        patch_size=config.patch[1],
        patch_size_t=config.patch[0] if config.patch[0] > 1 else None,
        max_text_seq_length=TEXT,
        use_rotary_positional_embeddings=is_rope,
        use_learned_positional_embeddings=learned,
    )
    if learned:  # a buffer of theirs
        table = model.patch_embed.pos_embedding
        del model.patch_embed.pos_embedding
        model.patch_embed.pos_embedding = torch.nn.Parameter(table)
    latent, text = draw(3, *latent_sizes, config.latent_channels), draw(3, TEXT, 16)
    given = draw(3, *latent_sizes, config.given_channels)
    grid = [x // p for x, p in zip(latent_sizes, config.patch, strict=True)]
    rotary = get_3d_rotary_pos_embed(
        WIDTH // HEADS, ((0, 0), tuple(grid[1:])), tuple(grid[1:]), grid[0]
    )

    def theirs(model):
        whole = np.concatenate([latent, given], -1)
        out = model(
            frames_first(whole),
            torch.from_numpy(text),
            torch.from_numpy(1000 * T_B),
            ofs=torch.full((3,), 2.0) if has_offset else None,
            image_rotary_emb=rotary if is_rope else None,
        )
        return out.sample.permute(0, 1, 3, 4, 2)

    given = given if config.given_channels else given[..., :0]
    check_parity(
        model,
        Network.of(make(config)),
        weights.cogvideox(config),
        theirs,
        lambda v: v(
            latent, T_B, text, given_BFHWC=given if config.given_channels else None
        ),
        # Softmax does not see what is added to all scores of a query.
        zero_gradients=r"(?!)" if is_rope else r"attn1\.norm_k\.bias",
    )


def test_2b(diffusers):
    """Sincos positions, of rows and columns apart: no two sizes of the grid are equal."""
    scale = (1.0, 1 / 1.875, 1 / 1.875)
    config = config_of(position="sincos", position_scale=scale)
    check(diffusers, config, (3, 8, 10))


def test_5b(diffusers):
    check(diffusers, config_of(), (3, 8, 10))


def test_5b_i2v(diffusers):
    """An image's latent beside the noise, and learned positions of video and text."""
    table = {"position_sizes": (3, 4, 5), "position_text": TEXT}
    check(diffusers, config_of(given_channels=4, **table), (3, 8, 10), learned=True)


def test_1_5_5b(diffusers):
    check(diffusers, config_of(patch=(2, 2, 2)), (6, 8, 10))


def test_1_5_5b_i2v(diffusers):
    """Its checkpoints have an embedded offset too."""
    config = config_of(patch=(2, 2, 2), given_channels=4, offset=2.0)
    check(diffusers, config, (4, 6, 10))
