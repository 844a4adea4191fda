"""HunyuanVideo, HunyuanVideo-1.5 and FLUX (Open-Sora 2.0) against diffusers."""

import jax.numpy as jnp
import numpy as np
import pytest
from parity.harness import check_parity

from videogen.models.joint import weights
from videogen.models.joint.config import JointConfig
from videogen.models.joint.model import make
from videogen.models.joint.sizes import PUBLISHED
from videogen.nn.fence import Network

pytestmark = pytest.mark.parity
rng = np.random.default_rng(1)
T_B = np.array([0.0, 0.3127, 1.0], np.float32)
# Softmax does not see what is added to all scores of a query.
NO_GRADIENT = r"refiner_blocks\.\d\.attn\.to_k\.bias"
MASK = np.arange(7) < np.array([[7], [4], [1]])


@pytest.fixture(scope="module")
def diffusers():
    pytest.importorskip("torch")
    import diffusers

    return diffusers


def draw(*shape):
    return rng.standard_normal(shape, np.float32)


def tensors(**arrays):
    import torch

    return {
        name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in arrays.items()
    }


def channels_first(latent_BFHWC):
    return np.moveaxis(latent_BFHWC, -1, 1)


def channels_last(output_BCFHW):
    return output_BCFHW.permute(0, 2, 3, 4, 1)


def config_of(**more):
    """Heads of 16: 4 of frame, 6 of row, 6 of column."""
    sizes = {"width": 32, "depth": 2, "num_heads": 2, "mlp_width": 128, "text_dim": 12}
    sizes |= {"latent_channels": 3, "rope_split": (4, 6, 6), "rope_theta": 256.0}
    return JointConfig(**(sizes | more))


def check_hunyuan(diffusers, sizes=(3, 4, 10), patch=(1, 2, 2), **more):
    config = config_of(single_depth=2, pooled_dim=20, patch=patch, **more)
    kind = {"latent_concat": config.given_channels > 0}
    kind |= {"token_replace": config.clean_first_frame}
    model = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=config.latent_channels + config.given_channels,
        out_channels=config.latent_channels,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        num_single_layers=2,
        patch_size=patch[1],
        patch_size_t=patch[0],
        guidance_embeds=config.guidance,
        text_embed_dim=12,
        pooled_projection_dim=20,
        rope_axes_dim=config.rope_split,
        image_condition_type=next((k for k, on in kind.items() if on), None),
    )
    latent, text, pooled = draw(3, *sizes, 3), draw(3, 7, 12), draw(3, 20)
    given = draw(3, *sizes, config.given_channels)
    guidance = np.array([1.0, 0.37, 0.05], np.float32)

    def theirs(model):
        whole = np.concatenate([latent, given], -1)
        arrays = {"hidden_states": channels_first(whole), "timestep": 1000 * T_B}
        arrays |= {"encoder_hidden_states": text, "encoder_attention_mask": MASK}
        arrays |= {"pooled_projections": pooled, "guidance": 1000 * guidance}
        return channels_last(model(**tensors(**arrays)).sample)

    conditions = {"pooled_BX": pooled, "guidance_B": guidance}
    if config.given_channels:
        conditions["given_BFHWC"] = given
    check_parity(
        model,
        Network.of(make(config)),
        weights.hunyuan(config),
        theirs,
        lambda v: v(latent, T_B, text, MASK, **conditions),
        zero_gradients=NO_GRADIENT,
    )


def test_hunyuan_video(diffusers):
    check_hunyuan(diffusers, sizes=(4, 9, 6), patch=(2, 3, 3), guidance=True)


def test_hunyuan_video_i2v_by_channels(diffusers):
    check_hunyuan(diffusers, given_channels=4)


def test_hunyuan_video_i2v_by_clean_tokens(diffusers):
    check_hunyuan(diffusers, clean_first_frame=True, guidance=True)


@pytest.mark.parametrize("has_image", [True, False])
def test_hunyuan_video_1_5(diffusers, has_image):
    config = config_of(
        **{"latent_channels": 4, "given_channels": 5, "patch": (1, 1, 1)},
        **{"more_text_dims": (14,), "image_dim": 18},
    )
    model = diffusers.HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        text_embed_dim=12,
        text_embed_2_dim=14,
        image_embed_dim=18,
        rope_axes_dim=config.rope_split,
    )
    latent, given = draw(3, 2, 3, 5, 4), draw(3, 2, 3, 5, 5)
    text, glyphs, image = draw(3, 7, 12), draw(3, 5, 14), has_image * draw(3, 6, 18)
    glyph_mask = np.arange(5) < np.array([[0], [5], [3]])

    def theirs(model):
        whole = np.concatenate([latent, given], -1)
        arrays = {"hidden_states": channels_first(whole), "timestep": 1000 * T_B}
        arrays |= {"encoder_hidden_states": text, "encoder_attention_mask": MASK}
        arrays |= {"encoder_hidden_states_2": glyphs, "image_embeds": image}
        arrays |= {"encoder_attention_mask_2": glyph_mask}
        return channels_last(model(**tensors(**arrays)).sample)

    conditions = {"text2_BLX": glyphs, "text2_mask_BL": glyph_mask}
    conditions |= {"image_BLX": image, "given_BFHWC": given}
    check_parity(
        model,
        Network.of(make(config)),
        weights.hunyuan_1_5(config),
        theirs,
        lambda v: v(latent, T_B, text, MASK, **conditions),
        zero_gradients=NO_GRADIENT,
    )


def pack(latent_BFHWC):
    """Patches of 2 x 2 of one frame, channels first."""
    batch, _, height, width, channels = latent_BFHWC.shape
    x = latent_BFHWC.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(batch, -1, 4 * channels)


def test_flux(diffusers):
    """Open-Sora 2.0 on one frame."""
    config = config_of(
        **{"single_depth": 2, "pooled_dim": 20, "text_projection": "linear"},
        **{"rope_theta": 1e4, "mask_text": False},
    )
    model = diffusers.FluxTransformer2DModel(
        in_channels=12,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=12,
        pooled_projection_dim=20,
        axes_dims_rope=config.rope_split,
    )
    latent, text, pooled = draw(3, 1, 4, 10, 3), draw(3, 7, 12), draw(3, 20)
    places = np.indices((1, 2, 5), np.float32).reshape(3, -1).T

    def theirs(model):
        arrays = {"hidden_states": pack(latent), "encoder_hidden_states": text}
        arrays |= {"pooled_projections": pooled, "timestep": T_B, "img_ids": places}
        arrays |= {"txt_ids": np.zeros((7, 3), np.float32)}
        return model(**tensors(**arrays)).sample

    def ours(velocity):
        out_BFHWC = velocity(latent, T_B, text, MASK, pooled_BX=pooled)
        x = jnp.reshape(out_BFHWC, (3, 2, 2, 5, 2, 3)).transpose(0, 1, 3, 5, 2, 4)
        return x.reshape(3, 10, 12)

    table = weights.flux(config)
    check_parity(model, Network.of(make(config)), table, theirs, ours)


RELEASED = {  # published name: (diffusers' class, what it is told; the rest is default)
    "hunyuan_video": ("HunyuanVideoTransformer3DModel", {}),
    "hunyuan_video_no_guidance": (
        "HunyuanVideoTransformer3DModel",
        {"guidance_embeds": False},
    ),
    "hunyuan_video_i2v_concat": (
        "HunyuanVideoTransformer3DModel",
        {
            "in_channels": 33,
            "guidance_embeds": False,
            "image_condition_type": "latent_concat",
        },
    ),
    "hunyuan_video_i2v": (
        "HunyuanVideoTransformer3DModel",
        {"image_condition_type": "token_replace"},
    ),
    "hunyuan_video_1_5": ("HunyuanVideo15Transformer3DModel", {}),
    "open_sora_2": ("FluxTransformer2DModel", {}),
}


@pytest.mark.parametrize("name", RELEASED)
def test_tables_fit_the_released_sizes(diffusers, name):
    """Every key and shape, without memory for a number."""
    import torch

    kind, told = RELEASED[name]
    with torch.device("meta"):
        state = getattr(diffusers, kind)(**told).state_dict()
    config = PUBLISHED[name].config
    shapes = {p: x.shape for p, x in Network.of(make(config)).abstract().items()}
    table = PUBLISHED[name].weights["diffusers"](config)
    table.check(shapes, {key: tuple(x.shape) for key, x in state.items()})


def test_every_table_of_diffusers_is_checked():
    assert {
        n for n, p in PUBLISHED.items() if "diffusers" in p.weights
    } == RELEASED.keys()
