"""Wan, LTX-Video and Allegro against diffusers: outputs, gradients, weights both ways."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_params
from parity.harness import FORWARD, check_parity, compare

from videogen.models.convert import export_weights, import_weights
from videogen.models.cross import weights
from videogen.models.cross.config import CrossConfig
from videogen.models.cross.model import make
from videogen.models.cross.sizes import PUBLISHED
from videogen.models.exchange import Layers, Tensors
from videogen.nn.fence import Network

pytestmark = pytest.mark.parity
rng = np.random.default_rng(1)
T_B = np.array([0.0, 0.3127, 1.0], np.float32)
# Softmax does not see what is added to all scores of a query.
NO_GRADIENT = r"attn\d\.(to_k|add_k_proj)\.bias"


@pytest.fixture(scope="module")
def diffusers():
    pytest.importorskip("torch")
    import diffusers

    return diffusers


def draw(*shape):
    return rng.standard_normal(shape, np.float32)


def torch_latent(latent_BFHWC):
    import torch

    return torch.from_numpy(np.moveaxis(latent_BFHWC, -1, 1).copy())


def channels_last(output_BCFHW):
    return output_BCFHW.permute(0, 2, 3, 4, 1)


def wan_config(head_dim=12, patch=(1, 2, 2), **more):
    sizes = {"depth": 2, "num_heads": 2, "mlp_width": 40, "text_dim": 16}
    sizes |= {"patch": patch, "width": 2 * head_dim, "freq_dim": 32, "mask_text": False}
    return CrossConfig(**(sizes | more))


def their(diffusers, config):
    """The model of a config.json that we would write."""
    return getattr(diffusers, config["_class_name"]).from_config(config)


def check_wan(diffusers, config, sizes, t, *, image=None, given=None):
    import torch

    latent = draw(3, *sizes, config.latent_channels)
    text = draw(3, 7 if image is None else 512, config.text_dim)  # they count on 512
    whole = latent if given is None else np.concatenate([latent, given], -1)

    def theirs(model):
        keywords = (
            {}
            if image is None
            else {"encoder_hidden_states_image": torch.from_numpy(image)}
        )
        out = model(
            torch_latent(whole),
            torch.from_numpy(1000 * t),
            torch.from_numpy(text),
            **keywords,
        )
        return channels_last(out.sample)

    check_parity(
        their(diffusers, weights.wan_config(config)),
        Network.of(make(config)),
        weights.wan(config),
        theirs,
        lambda v: v(latent, t, text, image_BLX=image, given_BFHWC=given),
        zero_gradients=NO_GRADIENT,
    )


# (head dim, patch, latent frames, height, width): no two sizes of a grid are equal.
@pytest.mark.parametrize(
    "head_dim, patch, sizes",
    [
        (12, (1, 2, 2), (3, 8, 10)),
        (32, (1, 2, 4), (2, 6, 16)),
        (16, (2, 1, 3), (4, 5, 9)),
    ],
)
def test_wan(diffusers, head_dim, patch, sizes):
    check_wan(diffusers, wan_config(head_dim, patch), sizes, T_B)


def test_wan_with_a_time_per_token(diffusers):
    """Wan2.2 TI2V-5B: tokens of the given frame are clean."""
    t_BN = draw(3, 3 * 4 * 5) % 1
    t_BN[:, :20] = 0
    check_wan(diffusers, wan_config(), (3, 8, 10), t_BN)


def test_wan_with_an_image(diffusers):
    """Wan2.1 I2V: the image's tokens, and its latent beside the noise."""
    config = wan_config(given_channels=20, image_dim=24)
    image, given = draw(3, 9, 24), draw(3, 3, 8, 10, 20)
    check_wan(diffusers, config, (3, 8, 10), T_B, image=image, given=given)


def test_wans_own_names_cover_every_parameter(diffusers):
    """The same table of shapes by diffusers' converter's names: see its source."""
    config = wan_config(image_dim=24, given_channels=20)
    shapes = {p: x.shape for p, x in Network.of(make(config)).abstract().items()}
    keys = weights.wan_native(config).their_shapes(shapes)
    assert len(keys) == len(weights.wan(config).their_shapes(shapes))
    width = config.width
    assert keys["blocks.1.self_attn.norm_q.weight"] == (width,)
    assert keys["blocks.0.cross_attn.k_img.weight"] == (width, width)
    assert keys["head.modulation"] == (1, 2, width)
    assert keys["patch_embedding.weight"] == (width, 36, 1, 2, 2)
    assert keys["img_emb.proj.3.weight"] == (width, 24)


def text_mask():
    return np.arange(7) < np.array([[7], [4], [1]])


@pytest.mark.parametrize("width, heads", [(48, 2), (40, 2)])
def test_ltx(diffusers, width, heads):
    """A width that 6 divides, and one with a rest that is not turned."""
    import torch

    config = CrossConfig(
        **{"latent_channels": 8, "patch": (1, 1, 1), "width": width, "depth": 2},
        **{"num_heads": heads, "mlp_width": 4 * width, "text_dim": 16},
        **{"norm": "rms", "cross_norm": None, "position": "fractional_rope"},
        rope_scale=(8.0, 32.0, 32.0),
        rope_base=(20.0, 2048.0, 2048.0),
        rope_theta=100.0,  # at 1e4 float32 knows the fastest angle to 1e-3 only
    )
    model = their(diffusers, weights.ltx_config(config))
    model.rope.theta = config.rope_theta
    latent, text, t_BN = draw(3, 3, 4, 5, 8), draw(3, 7, 16), draw(3, 60) % 1

    def theirs(model):
        out = model(
            torch.from_numpy(latent.reshape(3, 60, 8)),
            torch.from_numpy(text),
            torch.from_numpy(1000 * t_BN),
            torch.from_numpy(text_mask()),
            **{"num_frames": 3, "height": 4, "width": 5},
            rope_interpolation_scale=(8 / 30, 32, 32),
        )
        return out.sample.reshape(3, 3, 4, 5, 8)

    fps = np.full(3, 30.0, np.float32)
    check_parity(
        model,
        Network.of(make(config)),
        weights.ltx(config),
        theirs,
        lambda v: v(latent, t_BN, text, jnp.asarray(text_mask()), fps_B=fps),
        zero_gradients=NO_GRADIENT,
    )


def allegro_rotary(grid, head_dim):
    """As AllegroPipeline makes it."""
    import torch
    from diffusers.models.embeddings import get_3d_rotary_pos_embed_allegro

    frames, height, width = grid
    *turns, t, h, w = get_3d_rotary_pos_embed_allegro(
        embed_dim=head_dim,
        crops_coords=((0, 0), (height, width)),
        grid_size=(height, width),
        temporal_size=frames,
        interpolation_scale=(2.2, 2.0, 2.0),
    )
    places = torch.cartesian_prod(*(x.round().long() for x in (t, h, w)))
    return tuple(turns), tuple(places.T.reshape(3, 1, -1))


def test_allegro(diffusers):
    import torch

    config = CrossConfig(
        **{"latent_channels": 4, "width": 48, "depth": 2, "num_heads": 2},
        **{"mlp_width": 192, "text_dim": 16, "cross_norm": None, "qk_norm": None},
        **{"rope_split": (8, 8, 8), "rope_scale": (1 / 2.2, 1 / 2.0, 1 / 2.0)},
    )
    model = their(diffusers, weights.allegro_config(config))
    latent, text = draw(3, 3, 8, 10, 4), draw(3, 7, 16)

    def theirs(model):
        out = model(
            torch_latent(latent),
            torch.from_numpy(text),
            torch.from_numpy(1000 * T_B),
            encoder_attention_mask=torch.from_numpy(text_mask()).float(),
            image_rotary_emb=allegro_rotary((3, 4, 5), 24),
        )
        return channels_last(out.sample)

    check_parity(
        model,
        Network.of(make(config)),
        weights.allegro(config),
        theirs,
        lambda v: v(latent, T_B, text, jnp.asarray(text_mask())),
        zero_gradients=NO_GRADIENT,
    )


def test_diffusers_loads_what_we_export(diffusers, tmp_path):
    """A folder of several shards, by from_pretrained, and back to the same bits."""
    import torch

    config = wan_config()
    published = dataclasses.replace(PUBLISHED["wan2_1_t2v_1_3b"], config=config)
    params = {
        k: np.asarray(v) for k, v in random_params(Network.of(make(config))).items()
    }
    shapes = {path: x.shape for path, x in params.items()}
    folder = tmp_path / "theirs"
    names = published, "wan", "diffusers", shapes
    export_weights(*names, Layers(params), folder, shard_bytes=20_000)
    assert len(list(folder.glob("diffusion_pytorch_model-*.safetensors"))) > 2
    model = diffusers.WanTransformer3DModel.from_pretrained(folder)
    latent, text = draw(3, 3, 8, 10, 16), draw(3, 7, config.text_dim)
    with torch.no_grad():
        out = model(
            torch_latent(latent), torch.from_numpy(1000 * T_B), torch.from_numpy(text)
        )
    got = Network.of(make(config)).apply(
        {k: jnp.asarray(v) for k, v in params.items()},
        *map(jnp.asarray, (latent, T_B, text)),
    )
    want = channels_last(out.sample).numpy()
    compare("the output", np.asarray(got), want, FORWARD)
    import_weights(*names, folder, tmp_path / "ours")
    back = Tensors(tmp_path / "ours")
    np.testing.assert_array_equal(
        back["blocks.attn1.to_q.kernel[1]"], params["blocks.attn1.to_q.kernel"][1]
    )
