"""Cosmos-Predict1, 2 and 2.5 and diffusers'."""

import jax.numpy as jnp
import numpy as np
from parity.harness import Twin, channels_first, channels_last, drawing, tensor

from videogen.models.cosmos.config import CosmosConfig

PADDED = np.arange(7) < np.array([[7], [4], [1]])


def _twin(name, sizes, head_dim=14, *, fps=None, mask=None, given=None, **more) -> Twin:
    draw, width = drawing(), 2 * head_dim
    config = CosmosConfig(
        **{"width": width, "freq_dim": width, "mlp_width": 3 * width, "num_heads": 2},
        **{"latent_channels": 4, "depth": 2, "text_dim": 10, "lora_rank": 6},
        **{"qk_eps": 1e-5} | more,
    )
    text = draw(3, 7, config.text_dim)
    if given is None:
        given = draw(3, *sizes, config.given_channels)
        given[..., -1] = given[0, 0, ..., -1]  # one mask of padding serves all
    keywords = {} if fps is None else {"fps": fps}
    if mask is not None:
        keywords["attention_mask"] = tensor(mask)
    if config.given_channels > 1:
        keywords["condition_mask"] = channels_first(tensor(given[..., :-1]))

    def theirs(model, latent, t):
        out = model(
            channels_first(latent),
            t if t.ndim == 1 else t[:, None, :, None, None],
            tensor(text),
            padding_mask=tensor(given[:1, 0, ..., -1]).unsqueeze(0),
            **keywords,
        )
        return channels_last(out.sample)

    conditions = {"given_BFHWC": given, "fps_B": np.full(3, fps or 11.0, np.float32)}
    conditions["text_mask_BL"] = None if mask is None else jnp.asarray(mask)
    tokens_of_frame = sizes[1] * sizes[2] // (config.patch[1] * config.patch[2])

    def ours(velocity, latent, t):
        t = t if t.ndim == 1 else jnp.repeat(t, tokens_of_frame, axis=1)
        return velocity(latent, t, text, **conditions)

    return Twin(name=name, config=config, sizes=sizes, theirs=theirs, ours=ours)


def predict1(sizes=(3, 8, 10), head_dim=14, patch=(1, 2, 2)) -> Twin:
    """Learned positions at every block, frames by seconds, the text's padding attended."""
    return _twin(
        "cosmos1_7b_text2world",
        sizes,
        head_dim,
        fps=30,
        patch=patch,
        given_channels=1,
        position_sizes=(4, 6, 7),
        rope_ntk=(2.0, 1.5, 1.25),
        base_fps=24.0,
        mask_text=False,
    )


def predict2(given=None) -> Twin:
    """A mask of given frames; padding of the text is hidden."""
    more = {"given_channels": 2, "rope_ntk": (20 / 24, 2.0, 3.0)}
    return _twin("cosmos2_2b_video2world", (3, 8, 10), mask=PADDED, given=given, **more)


def predict2_5() -> Twin:
    """The text comes through a projection."""
    more = {"given_channels": 2, "text_proj_dim": 12, "rope_ntk": (1.0, 3.0, 3.0)}
    return _twin("cosmos2_5_2b", (3, 8, 10), **more)
