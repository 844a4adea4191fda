"""CogVideoX and diffusers'."""

import dataclasses

import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from parity.harness import Twin, drawing, tensor

from videogen.models.cogvideox.config import CogVideoXConfig

WIDTH, HEADS = 48, 3  # heads of 16: (4, 6, 6)


def _twin(name, sizes, text_tokens=7, **more) -> Twin:
    draw = drawing()
    config = CogVideoXConfig(
        **{"latent_channels": 4, "width": WIDTH, "depth": 2, "num_heads": HEADS},
        **{"mlp_width": 4 * WIDTH, "text_dim": 16, "freq_dim": WIDTH, "time_dim": 24},
        **{"mask_text": False} | more,
    )
    is_rope = config.position == "rope"
    text, given = draw(3, text_tokens, 16), draw(3, *sizes, config.given_channels)
    grid = [x // p for x, p in zip(sizes, config.patch, strict=True)]
    rotary = get_3d_rotary_pos_embed(
        WIDTH // HEADS, ((0, 0), tuple(grid[1:])), tuple(grid[1:]), grid[0]
    )

    def theirs(model, latent, t):
        out = model(
            torch.cat([latent, tensor(given)], -1).permute(0, 1, 4, 2, 3),
            tensor(text),
            1000 * t,
            ofs=None if config.offset is None else torch.full((3,), config.offset),
            image_rotary_emb=rotary if is_rope else None,
        )
        return out.sample.permute(0, 1, 3, 4, 2)

    conditions = {"given_BFHWC": given} if config.given_channels else {}
    return Twin(
        name=name,
        config=config,
        sizes=sizes,
        theirs=theirs,
        ours=lambda v, latent, t: v(latent, t, text, **conditions),
        # Softmax does not see what is added to all scores of a query.
        zero_gradients=r"(?!)" if is_rope else r"attn1\.norm_k\.bias",
    )


def of_2b() -> Twin:
    """Sincos positions, of rows and columns apart; they count on the caption's 226 tokens."""
    scale = (1.0, 1 / 1.875, 1 / 1.875)
    more = {"position": "sincos", "position_scale": scale}
    return _twin("cogvideox_2b", (3, 8, 10), 226, **more)


def of_5b() -> Twin:
    return _twin("cogvideox_5b", (3, 8, 10))


def of_5b_i2v() -> Twin:
    """An image's latent beside the noise, and learned positions of video and text."""

    def learn(model):
        """The table, a buffer of theirs."""
        table = model.patch_embed.pos_embedding
        del model.patch_embed.pos_embedding
        model.patch_embed.pos_embedding = torch.nn.Parameter(table)

    table = {"position_sizes": (3, 4, 5), "position_text": 7}
    twin = _twin("cogvideox_5b_i2v", (3, 8, 10), given_channels=4, **table)
    return dataclasses.replace(twin, adapt=learn)


def of_1_5() -> Twin:
    return _twin("cogvideox1_5_5b", (6, 8, 10), patch=(2, 2, 2))


def of_1_5_i2v() -> Twin:
    """Its checkpoints have an embedded offset too."""
    more = {"patch": (2, 2, 2), "given_channels": 4, "offset": 2.0}
    return _twin("cogvideox1_5_5b_i2v", (4, 6, 10), **more)
