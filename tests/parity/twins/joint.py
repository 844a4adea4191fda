"""HunyuanVideo, HunyuanVideo-1.5 and FLUX (Open-Sora 2.0) and diffusers'."""

import numpy as np
import torch
from parity.harness import Twin, channels_first, channels_last, drawing, tensor

from videogen.models.joint.config import JointConfig

# Softmax does not see what is added to all scores of a query.
NO_GRADIENT = r"refiner_blocks\.\d\.attn\.to_k\.bias"
MASK = np.arange(7) < np.array([[7], [4], [1]])


def _config(**more) -> JointConfig:
    """Heads of 16: 4 of frame, 6 of row, 6 of column."""
    sizes = {"width": 32, "depth": 2, "num_heads": 2, "mlp_width": 128, "text_dim": 12}
    sizes |= {"latent_channels": 3, "rope_split": (4, 6, 6), "rope_theta": 256.0}
    return JointConfig(**(sizes | more))


def _hunyuan(name, sizes=(3, 4, 10), patch=(1, 2, 2), **more) -> Twin:
    draw = drawing()
    config = _config(single_depth=2, pooled_dim=20, patch=patch, **more)
    text, pooled = draw(3, 7, 12), draw(3, 20)
    given, guidance = draw(3, *sizes, config.given_channels), np.float32([1, 0.4, 0.05])

    def theirs(model, latent, t):
        whole = torch.cat([latent, tensor(given)], -1)
        arrays = map(tensor, (text, MASK, pooled, 1000 * guidance))
        return channels_last(model(channels_first(whole), 1000 * t, *arrays).sample)

    conditions = {"pooled_BX": pooled, "guidance_B": guidance}
    if config.given_channels:
        conditions["given_BFHWC"] = given
    return Twin(
        name=name,
        config=config,
        sizes=sizes,
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, MASK, **conditions),
        zero_gradients=NO_GRADIENT,
    )


def hunyuan() -> Twin:
    return _hunyuan("hunyuan_video", (4, 9, 6), (2, 3, 3), guidance=True)


def hunyuan_by_channels() -> Twin:
    return _hunyuan("hunyuan_video_i2v_concat", given_channels=4)


def hunyuan_by_clean_tokens() -> Twin:
    return _hunyuan("hunyuan_video_i2v", clean_first_frame=True, guidance=True)


def hunyuan_1_5(has_image=True) -> Twin:
    config = _config(
        **{"latent_channels": 4, "given_channels": 5, "patch": (1, 1, 1)},
        **{"more_text_dims": (14,), "image_dim": 18},
    )
    draw, sizes = drawing(), (2, 3, 5)
    text, glyphs, image = draw(3, 7, 12), draw(3, 5, 14), has_image * draw(3, 6, 18)
    given, glyph_mask = draw(3, *sizes, 5), np.arange(5) < np.array([[0], [5], [3]])

    def theirs(model, latent, t):
        out = model(
            channels_first(torch.cat([latent, tensor(given)], -1)),
            1000 * t,
            tensor(text),
            tensor(MASK),
            encoder_hidden_states_2=tensor(glyphs),
            encoder_attention_mask_2=tensor(glyph_mask),
            image_embeds=tensor(image),
        )
        return channels_last(out.sample)

    conditions = {"text2_BLX": glyphs, "text2_mask_BL": glyph_mask}
    conditions |= {"image_BLX": image, "given_BFHWC": given}
    return Twin(
        name="hunyuan_video_1_5",
        config=config,
        sizes=sizes,
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, MASK, **conditions),
        zero_gradients=NO_GRADIENT,
    )


def flux() -> Twin:
    """Patches of 2 x 2, packed channels first; a place has a frame too."""
    config = _config(
        **{"single_depth": 2, "pooled_dim": 20, "text_projection": "linear"},
        **{"rope_theta": 1e4, "mask_text": False},
    )
    draw, grid = drawing(), (3, 2, 5)
    text, pooled = draw(3, 7, 12), draw(3, 20)
    places = np.indices(grid, np.float32).reshape(3, -1).T

    def theirs(model, latent, t):
        x = latent.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # B F H 2 W 2 C
        x = x.permute(0, 1, 2, 4, 6, 3, 5).flatten(4).flatten(1, 3)
        out = model(
            *(x, tensor(text), tensor(pooled), t, tensor(places), torch.zeros(7, 3))
        )
        x = out.sample.unflatten(1, grid).unflatten(-1, (-1, 2, 2))  # B F H W C 2 2
        return x.permute(0, 1, 2, 5, 3, 6, 4).flatten(4, 5).flatten(2, 3)

    return Twin(
        name="open_sora_2",
        config=config,
        sizes=(3, 4, 10),
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, MASK, pooled_BX=pooled),
    )
