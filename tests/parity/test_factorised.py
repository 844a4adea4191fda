"""Latte-1 against diffusers; Open-Sora 1.2 and Plan 1.3 against their formulas."""

import jax.numpy as jnp
import numpy as np
import pytest
from parity.harness import check_parity

from videogen.models.factorised import weights
from videogen.models.factorised.config import FactorisedConfig
from videogen.models.factorised.model import make
from videogen.nn.fence import Network

pytestmark = pytest.mark.parity
rng = np.random.default_rng(1)
T_B = np.array([0.0, 0.3127, 1.0], np.float32)
TEXT_MASK = np.arange(7) < np.array([[7], [4], [1]])
SIZES = {"width": 24, "num_heads": 2, "mlp_width": 96, "text_dim": 16}
# Softmax does not see what is added to all scores of a query.
NO_GRADIENT = r"attn[12]\.to_k\.bias"


def draw(*shape):
    return rng.standard_normal(shape, np.float32)


def torch_latent(latent_BFHWC):
    import torch

    return torch.from_numpy(np.moveaxis(latent_BFHWC, -1, 1).copy())


@pytest.mark.parametrize("frames", [3, 1])
def test_latte(frames):
    """A video, and an image, which has no frame's position."""
    torch = pytest.importorskip("torch")
    import diffusers

    config = FactorisedConfig(**SIZES, depth=2, learn_sigma=True, text_in_second=False)
    model = diffusers.LatteTransformer3DModel(
        num_attention_heads=config.num_heads,
        attention_head_dim=config.head_dim,
        in_channels=4,
        out_channels=8,
        num_layers=config.depth,
        cross_attention_dim=config.width,
        attention_bias=True,
        sample_size=64,
        patch_size=2,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
        caption_channels=config.text_dim,
        video_length=3,
    )
    latent, text = draw(3, frames, 8, 10, 4), draw(3, 7, 16)

    def theirs(model):
        mask = torch.from_numpy(TEXT_MASK).repeat_interleave(frames, 0)[:, None]
        out = model(
            torch_latent(latent),
            torch.from_numpy(1000 * T_B),
            torch.from_numpy(text),
            encoder_attention_mask=(1 - mask.float()) * -10000.0,
        )
        return out.sample.permute(0, 2, 3, 4, 1)

    check_parity(
        model,
        Network.of(make(config)),
        weights.latte(config),
        theirs,
        lambda v: v(latent, T_B, text, jnp.asarray(TEXT_MASK)),
        zero_gradients=NO_GRADIENT + ("" if frames > 1 else "|^temporal.*to_[qk]"),
    )


def their_weights(network, table, **more):
    from parity.transcribed import Weights

    shapes = {path: x.shape for path, x in network.abstract().items()}
    return Weights(table.their_shapes(shapes) | more)


def test_open_sora():
    """Frames that are given are at time 0; the checkpoint holds what is not learned too."""
    torch = pytest.importorskip("torch")
    from parity.transcribed import stdit3

    config = FactorisedConfig(
        **SIZES,
        depth=2,
        learn_sigma=True,
        qk_norm="rms_head",
        position="sincos_rope",
        embeds_fps=True,
    )
    network, table = Network.of(make(config)), weights.open_sora(config)
    fixed = {"rope.freqs": (6,), "y_embedder.y_embedding": (7, 16)}
    latent, text = draw(3, 3, 8, 10, 4), draw(3, 7, 16)
    fps = np.array([24, 8, 30], np.float32)
    mask_BF = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 0]], bool)

    def theirs(model):
        return stdit3(
            *(model, torch_latent(latent), torch.from_numpy(1000 * T_B)),
            *map(torch.from_numpy, (text, TEXT_MASK, fps, mask_BF)),
            depth=config.depth,
            heads=config.num_heads,
        )

    check_parity(
        their_weights(network, table, **fixed),
        network,
        table,
        theirs,
        lambda v: v(latent, T_B[:, None] * mask_BF, text, TEXT_MASK, fps_B=fps),
        zero_gradients=r"(?!)",
    )


@pytest.mark.parametrize("sizes", [(3, 8, 10), (2, 8, 16)])
def test_open_sora_plan(sizes):
    """60 tokens, which 16 does not divide, and 64."""
    torch = pytest.importorskip("torch")
    from parity.transcribed import open_sora_plan

    config = FactorisedConfig(
        **SIZES,
        depth=3,  # float32 knows the gradients of more to 4e-3 only
        latent_channels=8,
        groups=("skip", "group_skip"),
        full_pairs=1,
        position="rope",
        rope_split=(4, 4, 4),
    )
    network, table = Network.of(make(config)), weights.open_sora_plan(config)
    latent, text = draw(3, *sizes, 8), draw(3, 7, 16)

    def theirs(model):
        return open_sora_plan(
            *(model, torch_latent(latent), torch.from_numpy(1000 * T_B)),
            *map(torch.from_numpy, (text, TEXT_MASK)),
            layers=2 * config.depth,
            heads=config.num_heads,
        )

    check_parity(
        their_weights(network, table),
        network,
        table,
        theirs,
        lambda v: v(latent, T_B, text, TEXT_MASK),
        zero_gradients=NO_GRADIENT,
    )
