"""Kandinsky 5 against diffusers: outputs, gradients, weights both ways."""

import numpy as np
import pytest
from parity.harness import check_parity

from videogen.models.kandinsky import weights
from videogen.models.kandinsky.config import KandinskyConfig
from videogen.models.kandinsky.model import make
from videogen.nn.fence import Network

pytestmark = pytest.mark.parity
rng = np.random.default_rng(1)
T_B = np.array([0.0, 0.3127, 1.0], np.float32)


@pytest.fixture
def diffusers(monkeypatch):
    """diffusers, which rounds turned queries and keys to bfloat16 whatever their dtype is."""
    torch = pytest.importorskip("torch")
    import diffusers

    monkeypatch.setattr(torch, "bfloat16", torch.float32)
    return diffusers


def draw(*shape):
    return rng.standard_normal(shape, np.float32)


# (head dim, patch, latent frames, height, width, given): no two sizes of a grid are equal.
@pytest.mark.parametrize(
    "head_dim, patch, sizes, given_channels, scale",
    [
        (16, (1, 2, 2), (3, 8, 10), 0, (1.0, 1.0, 1.0)),
        (8, (1, 2, 2), (3, 8, 10), 5, (1.0, 2.0, 3.16)),
        (22, (2, 1, 3), (4, 5, 9), 5, (1.5, 1.0, 2.0)),
    ],
)
def test_kandinsky5(diffusers, head_dim, patch, sizes, given_channels, scale):
    import torch

    config = KandinskyConfig(
        **{"latent_channels": 4, "given_channels": given_channels, "patch": patch},
        **{"width": 2 * head_dim, "freq_dim": 2 * head_dim, "num_heads": 2},
        **{"depth": 2, "text_depth": 2, "mlp_width": 40, "time_dim": 14},
        **{"text_dim": 10, "pooled_dim": 6},
        rope_scale=tuple(1 / x for x in scale),
    )
    latent, given = draw(3, *sizes, 4), draw(3, *sizes, given_channels)
    text, pooled = draw(3, 7, 10), draw(3, 6)
    grid = [size // step for size, step in zip(sizes, patch, strict=True)]

    def theirs(model):
        out = model(
            torch.from_numpy(np.concatenate([latent, given], -1)),
            torch.from_numpy(text),
            torch.from_numpy(1000 * T_B),
            torch.from_numpy(pooled),
            [torch.arange(size) for size in grid],
            torch.arange(7),
            scale_factor=scale,
        )
        return out.sample

    keywords = weights.diffusers_config(config)
    check_parity(
        getattr(diffusers, keywords.pop("_class_name"))(**keywords),
        Network.of(make(config)),
        weights.diffusers(config),
        theirs,
        lambda v: v(latent, T_B, text, pooled_BX=pooled, given_BFHWC=given),
    )
