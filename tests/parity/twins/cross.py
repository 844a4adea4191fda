"""Wan, LTX-Video and Allegro and diffusers'; Step-Video, Movie Gen and their formulas."""

import dataclasses

import numpy as np
import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed_allegro
from parity.harness import Twin, channels_first, channels_last, drawing, tensor
from parity.transcribed import by_formulas
from parity.transcribed import movie_gen as movie_gen_formulas
from parity.transcribed import step_video as step_video_formulas

from videogen.models.cross.config import CrossConfig
from videogen.models.cross.sizes import movie_gen_30b
from videogen.models.weights import Rule, WeightTable, patch_conv

# Softmax does not see what is added to all scores of a query.
NO_GRADIENT = r"attn\d\.(to_k|add_k_proj)\.bias"
MASK = np.arange(7) < np.array([[7], [4], [1]])


def wan(sizes=(3, 8, 10), head_dim=12, patch=(1, 2, 2), name="wan2_1_t2v_1_3b") -> Twin:
    return _wan(name, sizes, 2 * head_dim, patch, 7, {}, {})


def wan_i2v(given=None) -> Twin:
    """The image's tokens, and its latent beside the noise; they count on 512 of text."""
    draw, sizes = drawing(), (3, 8, 10)
    image, drawn = draw(3, 9, 24), draw(3, *sizes, 20)
    given = drawn if given is None else given
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


def movie_gen() -> Twin:
    """The published network, but for its sizes."""
    config = movie_gen_30b(
        **{"latent_channels": 4, "width": 32, "depth": 2, "num_heads": 2},
        **{"mlp_width": 40, "text_dim": 16, "more_text_dims": (10, 12)},
        position_sizes=(4, 5, 6),
    )
    draw = drawing()
    texts = [draw(3, 7, 16), draw(3, 4, 10), draw(3, 5, 12)]
    masks = [MASK, np.ones((3, 4), bool), MASK[::-1, :5]]

    def theirs(model, latent, t):
        return movie_gen_formulas(
            *(model, channels_first(latent), 1000 * t),
            *([tensor(x) for x in both] for both in (texts, masks)),
            layers=config.depth,
            heads=config.num_heads,
        )

    def ours(velocity, latent, t):
        more = {f"text{i}_BLX": x for i, x in enumerate(texts[1:], 2)}
        more |= {f"text{i}_mask_BL": x for i, x in enumerate(masks[1:], 2)}
        return velocity(latent, t, texts[0], masks[0], **more)

    return by_formulas(
        Twin(
            name="movie_gen_30b",
            config=config,
            sizes=(3, 8, 10),
            theirs=theirs,
            ours=ours,
        ),
        names=_movie_gen_names,
    )


def _movie_gen_names(config) -> WeightTable:
    """No weights are released: names of ours, much as LLaMa's."""
    return WeightTable(
        stacks={"blocks": "layers.{}"},
        renames=(
            (r"\.attn1\.", ".attention."),
            (r"\.attn2\.", ".cross."),
            (r"\.to_(\w+)\.", r".\1."),
            (r"\.out\.", ".o."),
            (r"\.norm1\.", ".attention_norm."),
            (r"\.norm2\.", ".cross_norm."),
            (r"\.norm3\.", ".ffn_norm."),
            (r"\.ffn\.gate\.", ".w1."),
            (r"\.ffn\.up\.", ".w3."),
            (r"\.ffn\.down\.", ".w2."),
            (r"^(layers\.\d+)\.scale_shift_table", r"\1.modulation"),
            (r"^scale_shift_table", "final.modulation"),
            (r"^proj_out", "final.linear"),
            (r"^condition_embedder\.text_embedder", "text.0"),
            (r"^condition_embedder\.text2_embedder", "text.1"),
            (r"^condition_embedder\.text3_embedder", "text.2"),
            (r"^condition_embedder\.time_embedder\.linear_1", "time.0"),
            (r"^condition_embedder\.time_embedder\.linear_2", "time.2"),
            (r"^condition_embedder\.time_proj", "modulation"),
            (r"^positions\.frames", "phi_t"),
            (r"^positions\.rows", "phi_h"),
            (r"^positions\.columns", "phi_w"),
            (r"^patch_embedding", "patches"),
        ),
        rules=(
            Rule(
                pattern=r"^(patches)\.kernel",
                key=r"\1.weight",
                layout=patch_conv(config.latent_channels, config.patch),
            ),
        ),
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
