"""Wan, LTX-Video and Allegro and diffusers'; Step-Video and its formulas."""

import dataclasses

import numpy as np
import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed_allegro
from parity.harness import Twin, channels_first, channels_last, drawing, tensor
from parity.transcribed import by_formulas
from parity.transcribed import step_video as step_video_formulas

from videogen.models.cross.config import CrossConfig

# Softmax does not see what is added to all scores of a query.
NO_GRADIENT = r"attn\d\.(to_k|add_k_proj)\.bias"
MASK = np.arange(7) < np.array([[7], [4], [1]])


def wan(sizes=(3, 8, 10), head_dim=12, patch=(1, 2, 2), name="wan2_1_t2v_1_3b") -> Twin:
    return _wan(name, sizes, 2 * head_dim, patch, 7, {}, {})


def wan_i2v() -> Twin:
    """The image's tokens, and its latent beside the noise; they count on 512 of text."""
    draw, sizes = drawing(), (3, 8, 10)
    image, given = draw(3, 9, 24), draw(3, *sizes, 20)
    conditions = {"image_BLX": image, "given_BFHWC": given}
    more = {"given_channels": 20, "image_dim": 24}
    return _wan("wan2_1_i2v_14b", sizes, 24, (1, 2, 2), 512, conditions, more)


def _wan(name, sizes, width, patch, text_tokens, conditions, more) -> Twin:
    config = CrossConfig(
        **{"depth": 2, "num_heads": 2, "mlp_width": 40, "text_dim": 16, "patch": patch},
        **{"width": width, "freq_dim": 32, "mask_text": False} | more,
    )
    text = drawing(3)(3, text_tokens, config.text_dim)
    given = conditions.get("given_BFHWC", np.zeros((3, *sizes, 0), np.float32))
    image = conditions.get("image_BLX")

    def theirs(model, latent, t):
        out = model(
            channels_first(torch.cat([latent, tensor(given)], -1)),
            1000 * t,
            tensor(text),
            encoder_hidden_states_image=None if image is None else tensor(image),
        )
        return channels_last(out.sample)

    return Twin(
        name=name,
        config=config,
        sizes=sizes,
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, **conditions),
        zero_gradients=NO_GRADIENT,
    )


def ltx(width=48) -> Twin:
    """A width that 6 divides, or one with a rest that is not turned."""
    config = CrossConfig(
        **{"latent_channels": 8, "patch": (1, 1, 1), "width": width, "depth": 2},
        **{"num_heads": 2, "mlp_width": 4 * width, "text_dim": 16},
        **{"norm": "rms", "cross_norm": None, "position": "fractional_rope"},
        rope_scale=(8.0, 32.0, 32.0),
        rope_base=(20.0, 2048.0, 2048.0),
    )
    text, sizes = drawing()(3, 7, 16), (3, 4, 5)

    def theirs(model, latent, t):
        out = model(
            latent.flatten(1, 3),
            tensor(text),
            1000 * t,
            tensor(MASK),
            **dict(zip(("num_frames", "height", "width"), sizes, strict=True)),
            rope_interpolation_scale=(8 / 30, 32, 32),
        )
        return out.sample.unflatten(1, sizes)

    fps = np.full(3, 30.0, np.float32)
    return Twin(
        name="ltx_video_2b",
        config=config,
        sizes=sizes,
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, MASK, fps_B=fps),
        zero_gradients=NO_GRADIENT,
    )


def ltx_of_slow_angles(width=48) -> Twin:
    """Of its own theta, 1e4, float32 knows the fastest angle to 1e-3 only."""
    twin, theta = ltx(width), 100.0

    def make():
        model = twin.model()
        model.rope.theta = theta
        return model

    config = dataclasses.replace(twin.config, rope_theta=theta)
    return dataclasses.replace(twin, config=config, make=make)


def allegro() -> Twin:
    config = CrossConfig(
        **{"latent_channels": 4, "width": 48, "depth": 2, "num_heads": 2},
        **{"mlp_width": 192, "text_dim": 16, "cross_norm": None, "qk_norm": None},
        **{"rope_split": (8, 8, 8), "rope_scale": (1 / 2.2, 1 / 2.0, 1 / 2.0)},
    )
    text = drawing()(3, 7, 16)

    def theirs(model, latent, t):
        out = model(
            channels_first(latent),
            tensor(text),
            1000 * t,
            encoder_attention_mask=tensor(MASK).float(),
            image_rotary_emb=_allegro_rotary((3, 4, 5), 24),
        )
        return channels_last(out.sample)

    return Twin(
        name="allegro",
        config=config,
        sizes=(3, 8, 10),
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, MASK),
        zero_gradients=NO_GRADIENT,
    )


def step_video() -> Twin:
    split = (8, 4, 4)
    config = CrossConfig(
        **{"latent_channels": 8, "patch": (1, 1, 1), "width": 32, "depth": 2},
        **{"num_heads": 2, "mlp_width": 128, "text_dim": 16, "more_text_dims": (12,)},
        **{"bias": False, "mlp_bias": False, "norm": "layer_affine"},
        **{"cross_norm": None, "norm_eps": 1e-5, "qk_norm": "rms_head"},
        **{"text_projection": "norm_mlp", "rope_split": split},
    )
    text, clip = drawing()(3, 7, 16), drawing(3)(3, 5, 12)

    def theirs(model, latent, t):
        told = tensor(text), tensor(MASK), tensor(clip)
        return step_video_formulas(
            *(model, channels_first(latent), 1000 * t),
            *told,
            layers=config.depth,
            split=split,
        )

    def ours(velocity, latent, t):
        return velocity(latent, t, text, MASK, text2_BLX=clip)

    return by_formulas(
        Twin(
            name="step_video_30b",
            config=config,
            sizes=(3, 4, 5),
            theirs=theirs,
            ours=ours,
        )
    )


def _allegro_rotary(grid, head_dim):
    """As AllegroPipeline makes it."""
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
