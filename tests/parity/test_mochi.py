"""Mochi against diffusers: outputs, gradients, weights both ways."""

import jax.numpy as jnp
import numpy as np
import pytest
from parity.harness import check_parity

from videogen.models.mochi import weights
from videogen.models.mochi.config import MochiConfig
from videogen.models.mochi.model import make
from videogen.nn.fence import Network

pytestmark = pytest.mark.parity
rng = np.random.default_rng(1)
T_B = np.array([0.0, 0.3127, 1.0], np.float32)


def draw(*shape):
    return rng.standard_normal(shape, np.float32)


@pytest.mark.filterwarnings("ignore:In CPU autocast")  # their rotary embedding
@pytest.mark.parametrize("depth, sizes", [(3, (3, 8, 10)), (1, (2, 6, 4))])
def test_mochi(depth, sizes):
    """No two sizes of the grid are equal; captions of all, some and one of the tokens."""
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    width, text_width = 48, 24  # the MLPs' widths are theirs to compute
    config = MochiConfig(
        **{"latent_channels": 4, "width": width, "depth": depth, "num_heads": 3},
        **{"mlp_width": 8 * width // 3, "text_width": text_width, "text_dim": 16},
        **{"text_mlp_width": 8 * text_width // 3, "freq_dim": 32},
    )
    model = diffusers.MochiTransformer3DModel(
        num_attention_heads=3,
        attention_head_dim=16,
        num_layers=depth,
        pooled_projection_dim=text_width,
        in_channels=4,
        text_embed_dim=16,
        time_embed_dim=32,
    )
    latent, text = draw(3, *sizes, 4), draw(3, 7, 16)
    mask = np.arange(7) < np.array([[7], [4], [1]])

    def theirs(model):
        out = model(
            torch.from_numpy(np.moveaxis(latent, -1, 1).copy()),
            torch.from_numpy(text),
            torch.from_numpy(1000 * (1 - T_B)),
            torch.from_numpy(mask),
        )
        return out.sample.permute(0, 2, 3, 4, 1)

    check_parity(
        model,
        Network.of(make(config)),
        weights.mochi(config),
        theirs,
        lambda v: -v(latent, T_B, text, jnp.asarray(mask)),
    )
