"""Each family's formula is what XLA multiplies, on every published network made small."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest
from models.dots import dot_flops

from videogen.models import FAMILIES
from videogen.models.sound.flops import num_audio_tokens
from videogen.nn import attention, position
from videogen.nn.fence import Network

LENGTH = 16  # tokens of each text
IMAGE = 3
# What is as much smaller as the width is.
WIDTHS = (
    *("mlp_width", "text_dim", "more_text_width", "image_dim", "pooled_dim"),
    *("time_dim", "freq_dim", "lora_rank", "condition_dim"),
    *("text_width", "text_mlp_width", "text_proj_dim"),
)


def shrink(config):
    """Width 256 or the next multiple of its heads' size; one block of each kind."""
    group = config.num_heads // getattr(config, "num_kv_heads", 1)
    heads = -(-256 // config.head_dim)
    if hasattr(config, "num_kv_heads"):
        heads = -(-heads // group) * group
    width = heads * config.head_dim

    def scaled(size):
        return 8 * max(1, round(size * width / config.width / 8)) if size else 0

    has = {
        field.name: getattr(config, field.name) for field in dataclasses.fields(config)
    }
    fields = {name: scaled(has[name]) for name in WIDTHS if name in has}
    fields |= {name: min(1, has[name]) for name in has if name.endswith("depth")}
    fields["depth"] = 2 if has.get("factorised") else 1 + 2 * has.get("full_pairs", 0)
    if "more_text_dims" in has:
        fields["more_text_dims"] = tuple(map(scaled, has["more_text_dims"]))
    if "num_kv_heads" in has:
        fields["num_kv_heads"] = heads // group
    run = {"attention": "reference", "remat": "none", "dtype": "float32"}
    return dataclasses.replace(config, width=width, num_heads=heads, **fields, **run)


EVERY = {
    (family, shrink(published.config)): name
    for family, parts in FAMILIES.items()
    for name, published in reversed(parts.published.items())
}  # networks that differ in size alone once
FIRST = {family: name for (family, _), name in EVERY.items()}
# 2 s each, so that one of each family is in the quick tier.
CASES = [
    pytest.param(
        *(family, config),
        marks=() if name == FIRST[family] else pytest.mark.slow,
        id=name,
    )
    for (family, config), name in EVERY.items()
]


def conditions(config):
    """All that a network may be told, of one sample."""
    shapes = {"guidance_B": (1,), "fps_B": (1,)}
    shapes["pooled_BX"] = (1, getattr(config, "pooled_dim", 0))
    texts = [("text", getattr(config, "text_dim", 0)), *config.more_texts]
    for name, dim in texts:
        shapes[f"{name}_BL{'D' if name == 'text' else 'X'}"] = (1, LENGTH, dim)
    if "image_BLX" in config.needs:
        shapes["image_BLX"] = (1, IMAGE, config.image_dim)
    told = {x: jax.ShapeDtypeStruct(size, jnp.float32) for x, size in shapes.items()}
    label_B = jax.ShapeDtypeStruct((1,), jnp.int32)
    return told | {"label_B": label_B}, LENGTH * len(texts)


def of_image(config, num_tokens):
    """What the formula leaves out: the image's projection, keys, values and attention."""
    if "image_BLX" not in config.needs:
        return 0
    d, x = config.width, config.image_dim
    projection = IMAGE * (x * x + x * d)
    return 2 * (projection + config.depth * IMAGE * (2 * d * d + 2 * num_tokens * d))


def parts_of(config, latent):
    """The shape of what is diffused, of one sample: of sound too where there is any."""
    video = (1, *latent)
    if not hasattr(config, "audio_channels"):
        return video
    audio = (1, num_audio_tokens(config, latent[0]), config.audio_channels)
    return {"video": video, "audio": audio}


@pytest.mark.parametrize("family, config", CASES)
def test_the_formula_is_what_the_compiler_multiplies(family, config, monkeypatch):
    """Within 0.2 %, the terms that formulas leave out on purpose added exactly."""
    turned = []

    def rotate(x, *args, dim=-1):
        turned.append(2 * x.size * x.shape[dim])
        return position.rotate(x, *args, dim=dim)

    monkeypatch.setattr(attention, "rotate", rotate)
    network = Network.of(FAMILIES[family].make(config))
    grid = (4, 4, 8)
    latent = (
        *map(math.prod, zip(grid, config.patch, strict=True)),
        config.latent_channels,
    )
    told, text_length = conditions(config)
    seen, t_B = (
        jax.tree.map(
            lambda size: jax.ShapeDtypeStruct(size, jnp.float32),
            sizes,
            is_leaf=lambda x: isinstance(x, tuple),
        )
        for sizes in (parts_of(config, latent), (1,))
    )
    lowered = jax.jit(network.apply).lower(network.abstract(), seen, t_B, **told)
    counted = dot_flops(lowered.compile().as_text())
    ours = FAMILIES[family].flops(config, latent, text_length)
    left_out = sum(turned) + of_image(config, math.prod(grid))
    assert counted == pytest.approx(ours + left_out, rel=0.002)


def test_dots_are_counted_in_loops_and_in_batches():
    def run(x, ys):
        return jax.lax.scan(
            lambda x, y: (jnp.einsum("bij,bjk->bik", x, y), None), x, ys
        )[0]

    x, ys = jnp.ones((3, 8, 16)), jnp.ones((5, 3, 16, 16))
    text = jax.jit(run).lower(x, ys).compile().as_text()
    assert dot_flops(text) == 5 * 3 * 2 * 8 * 16 * 16
