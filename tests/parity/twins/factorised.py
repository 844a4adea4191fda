"""Latte-1 and diffusers'; Open-Sora 1.2, Plan 1.3 and their formulas."""

import numpy as np
from parity.harness import Twin, channels_first, channels_last, drawing, tensor
from parity.transcribed import by_formulas, open_sora_plan, stdit3

from videogen.models.factorised.config import FactorisedConfig

MASK = np.arange(7) < np.array([[7], [4], [1]])
SIZES = {"width": 24, "num_heads": 2, "mlp_width": 96, "text_dim": 16}
# Softmax does not see what is added to all scores of a query.
NO_GRADIENT = r"attn[12]\.to_k\.bias"


def latte(sizes=(16, 4, 6)) -> Twin:
    """A video of the 16 frames that they have positions for, or an image, which has none."""
    config = FactorisedConfig(**SIZES, depth=2, learn_sigma=True, text_in_second=False)
    frames, text = sizes[0], drawing()(3, 7, 16)

    def theirs(model, latent, t):
        mask = tensor(MASK).repeat_interleave(frames, 0)[:, None]
        out = model(
            channels_first(latent),
            1000 * t,
            tensor(text),
            encoder_attention_mask=(1 - mask.float()) * -10000.0,
        )
        return channels_last(out.sample)

    return Twin(
        name="latte_1",
        config=config,
        sizes=sizes,
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, MASK),
        zero_gradients=NO_GRADIENT + ("" if frames > 1 else "|^temporal.*to_[qk]"),
    )


def open_sora() -> Twin:
    """Frames that are given are at time 0; the checkpoint holds what is not learned too."""
    config = FactorisedConfig(
        **SIZES,
        depth=2,
        learn_sigma=True,
        qk_norm="rms_head",
        position="sincos_rope",
        embeds_fps=True,
    )
    text, fps = drawing()(3, 7, 16), np.array([24, 8, 30], np.float32)
    mask_BF = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 0]], bool)

    def theirs(model, latent, t):
        return stdit3(
            *(model, channels_first(latent), 1000 * t),
            *map(tensor, (text, MASK, fps, mask_BF)),
            depth=config.depth,
            heads=config.num_heads,
        )

    def ours(velocity, latent, t):
        return velocity(latent, t[:, None] * mask_BF, text, MASK, fps_B=fps)

    twin = Twin(
        name="open_sora_1_2", config=config, sizes=(3, 8, 10), theirs=theirs, ours=ours
    )
    fixed = {"rope.freqs": (6,), "y_embedder.y_embedding": (7, 16)}
    return by_formulas(twin, **fixed)


def plan(sizes=(3, 8, 10)) -> Twin:
    config = FactorisedConfig(
        **SIZES,
        depth=3,  # float32 knows the gradients of more to 4e-3 only
        latent_channels=8,
        groups=("skip", "group_skip"),
        full_pairs=1,
        position="rope",
        rope_split=(4, 4, 4),
    )
    text = drawing()(3, 7, 16)

    def theirs(model, latent, t):
        return open_sora_plan(
            *(model, channels_first(latent), 1000 * t),
            *(tensor(text), tensor(MASK)),
            layers=2 * config.depth,
            heads=config.num_heads,
        )

    return by_formulas(
        Twin(
            name="open_sora_plan_1_3",
            config=config,
            sizes=sizes,
            theirs=theirs,
            ours=lambda v, latent, t: v(latent, t, text, MASK),
            zero_gradients=NO_GRADIENT,
        )
    )
