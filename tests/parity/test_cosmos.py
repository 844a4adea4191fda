"""Cosmos-Predict1, 2 and 2.5 against diffusers: outputs, gradients, weights both ways."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from parity.harness import check_parity

from videogen.models.cosmos import weights
from videogen.models.cosmos.config import CosmosConfig
from videogen.models.cosmos.model import make
from videogen.nn.fence import Network

pytestmark = pytest.mark.parity
rng = np.random.default_rng(1)
T_B = np.array([-1.3, 0.3127, 1.0], np.float32)
PADDED = np.arange(7) < np.array([[7], [4], [1]])


@pytest.fixture
def diffusers(monkeypatch):
    """diffusers, which resizes padding masks by torchvision: ours have the right size."""
    pytest.importorskip("torch")
    import diffusers
    from diffusers.models.transformers import transformer_cosmos

    def resize(mask, sizes, **_):
        assert list(mask.shape[-2:]) == sizes
        return mask

    stand_in = SimpleNamespace(
        functional=SimpleNamespace(resize=resize),
        InterpolationMode=SimpleNamespace(NEAREST=None),
    )
    monkeypatch.setattr(transformer_cosmos, "transforms", stand_in, raising=False)
    return diffusers


def draw(*shape):
    return rng.standard_normal(shape, np.float32)


def torch_video(video_BFHWC):
    import torch

    return torch.from_numpy(np.moveaxis(video_BFHWC, -1, 1).copy())


def channels_last(output_BCFHW):
    return output_BCFHW.permute(0, 2, 3, 4, 1)


def tiny(head_dim=14, patch=(1, 2, 2), **more):
    width = 2 * head_dim
    sizes = {"width": width, "freq_dim": width, "mlp_width": 3 * width, "num_heads": 2}
    sizes |= {"latent_channels": 4, "depth": 2, "text_dim": 10, "lora_rank": 6}
    return CosmosConfig(**(sizes | {"patch": patch, "qk_eps": 1e-5} | more))


def twin(diffusers, config):
    sizes = weights.diffusers_config(config)
    return getattr(diffusers, sizes.pop("_class_name"))(**sizes)


def check(diffusers, config, sizes, t, *, fps=None, mask=None):
    """t: a time per sample, or per sample and frame."""
    import torch

    latent, text = draw(3, *sizes, config.latent_channels), draw(3, 7, config.text_dim)
    given = draw(3, *sizes, config.given_channels)
    given[..., -1] = given[0, 0, ..., -1]  # one mask of padding serves all
    their_t = torch.from_numpy(t if t.ndim == 1 else t[:, None, :, None, None].copy())
    keywords = {} if fps is None else {"fps": fps}
    if mask is not None:
        keywords["attention_mask"] = torch.from_numpy(mask)
    if config.given_channels > 1:
        keywords["condition_mask"] = torch_video(given[..., :-1])

    def theirs(model):
        out = model(
            torch_video(latent),
            their_t,
            torch.from_numpy(text),
            padding_mask=torch.from_numpy(given[:1, 0, ..., -1]).unsqueeze(0),
            **keywords,
        )
        return channels_last(out.sample)

    tokens_of_frame = sizes[1] * sizes[2] // (config.patch[1] * config.patch[2])
    conditions = {"given_BFHWC": given}
    conditions["fps_B"] = np.full(3, fps or 11.0, np.float32)
    conditions["text_mask_BL"] = None if mask is None else jnp.asarray(mask)
    check_parity(
        twin(diffusers, config),
        Network.of(make(config)),
        weights.diffusers(config),
        theirs,
        lambda v: v(
            latent,
            t if t.ndim == 1 else np.repeat(t, tokens_of_frame, axis=1),
            text,
            **conditions,
        ),
    )


# No two sizes of a grid are equal; head dims of odd thirds, with a rest.
@pytest.mark.parametrize(
    "head_dim, patch, sizes",
    [(14, (1, 2, 2), (3, 8, 10)), (24, (1, 1, 3), (2, 5, 9))],
)
def test_predict1(diffusers, head_dim, patch, sizes):
    """Learned positions at every block, frames by seconds, the text's padding attended."""
    config = tiny(
        *(head_dim, patch),
        given_channels=1,
        position_sizes=(4, 6, 7),
        rope_ntk=(2.0, 1.5, 1.25),
        base_fps=24.0,
        mask_text=False,
    )
    check(diffusers, config, sizes, T_B, fps=30)


def test_predict2(diffusers):
    """A time per frame, a mask of given frames; padding of the text is hidden."""
    config = tiny(given_channels=2, rope_ntk=(20 / 24, 2.0, 3.0))
    t_BF = draw(3, 3) % 1
    t_BF[:, 0] = 1e-4
    check(diffusers, config, (3, 8, 10), t_BF, mask=PADDED)


def test_predict2_5(diffusers):
    """The text comes through a projection."""
    config = tiny(given_channels=2, text_proj_dim=12, rope_ntk=(1.0, 3.0, 3.0))
    check(diffusers, config, (3, 8, 10), T_B)


def test_the_authors_names_of_predict2_cover_every_parameter(diffusers):
    """The same table of shapes by diffusers' converter's names: see its source."""
    config = tiny(given_channels=2, text_proj_dim=12)
    shapes = {p: x.shape for p, x in Network.of(make(config)).abstract().items()}
    keys = weights.predict2(config).their_shapes(shapes)
    assert len(keys) == len(weights.diffusers(config).their_shapes(shapes))
    width = config.width
    assert keys["net.blocks.1.self_attn.q_norm.weight"] == (config.head_dim,)
    assert keys["net.blocks.0.adaln_modulation_mlp.2.weight"] == (3 * width, 6)
    assert keys["net.blocks.0.cross_attn.output_proj.weight"] == (width, width)
    assert keys["net.x_embedder.proj.1.weight"] == (width, 24)
    assert keys["net.t_embedder.1.linear_2.weight"] == (3 * width, width)
    assert keys["net.t_embedding_norm.weight"] == (width,)
    assert keys["net.final_layer.adaln_modulation.1.weight"] == (6, width)
