"""The trunk of pairs: tokens in any order, times of frames, what it costs, what it refuses."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.factorised import flops
from videogen.models.factorised.config import FactorisedConfig
from videogen.models.factorised.model import make
from videogen.models.factorised.sizes import PUBLISHED, open_sora_1_2
from videogen.nn.fence import Network
from videogen.nn.patch import patchify
from videogen.nn.position import grid_coordinates
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.patterns import Spatial

SIZES = {"width": 24, "depth": 1, "num_heads": 2, "mlp_width": 48, "text_dim": 16}
LATTE = FactorisedConfig(**SIZES, text_in_second=False)
OPEN_SORA = FactorisedConfig(
    **SIZES, position="sincos_rope", embeds_fps=True, qk_norm="rms_head"
)
PLAN = FactorisedConfig(
    **(SIZES | {"depth": 3}),
    groups=("skip", "group_skip"),
    full_pairs=1,
    position="rope",
)
each_config = pytest.mark.parametrize(
    "config", [LATTE, OPEN_SORA, PLAN], ids=["latte", "open_sora", "plan"]
)
LATENT = jax.random.normal(jax.random.key(1), (2, 3, 4, 6, 4))
GRID = (3, 2, 3)
T_B = jnp.array([0.3, 0.8])
TEXT = jax.random.normal(jax.random.key(2), (2, 5, 16))
MASK = jnp.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)
FPS = jnp.array([24.0, 8.0])


def run(config, t=T_B, text=TEXT, mask=MASK, fps=FPS):
    net = Network.of(make(config))
    return jax.jit(net.apply)(
        random_params(net), LATENT, t, text_BLD=text, text_mask_BL=mask, fps_B=fps
    )


class Tokens(nnx.Module):
    """A network seen as a function of tokens; `coords` may be known while tracing."""

    def __init__(self, model, coords):
        self.model, self.coords = model, coords

    def __call__(self, tokens, coords, *args):
        return self.model.tokens(tokens, self.coords.of(coords), *args)


@dataclasses.dataclass(frozen=True)
class Known:
    """Static coordinates of a whole grid, or those that are given at run time."""

    grid: tuple[int, int, int] | None

    def of(self, coords):
        return coords if self.grid is None else grid_coordinates(self.grid)


@each_config
@pytest.mark.parametrize("of_frames", [False, True])
def test_a_grid_in_order_is_any_tokens_with_their_coordinates(config, of_frames):
    """Folded groups against segments, whose tokens come in any order."""
    coords = jnp.asarray(grid_coordinates(GRID))
    order = jax.random.permutation(jax.random.key(1), len(coords))
    tokens = patchify(LATENT, config.patch)
    t = jnp.array([[0.3, 0, 0.9], [0, 1, 0.2]]) if of_frames else T_B
    rest = t, TEXT, MASK, FPS

    def apply(known, *args):
        net = Network.of(lambda rngs: Tokens(make(config)(rngs), known))
        return jax.jit(net.apply)(random_params(net), *args)

    want = apply(Known(GRID), tokens, coords, *rest)
    got = apply(Known(None), tokens[:, order], coords[order], *rest)
    np.testing.assert_allclose(got, want[:, order], atol=2e-4)


def test_a_time_for_each_frame_reaches_that_frame():
    same = run(OPEN_SORA, t=jnp.repeat(T_B[:, None], 3, axis=1))
    np.testing.assert_allclose(same, run(OPEN_SORA), atol=1e-4)
    given = run(OPEN_SORA, t=T_B[:, None] * jnp.array([0, 1, 1]))
    assert not np.allclose(given, same, atol=1e-2)
    with pytest.raises(ConfigError, match=r"\(2, 2\): .* each of its 3 frames"):
        run(OPEN_SORA, t=jnp.ones((2, 2)))


def test_padding_of_the_text_is_hidden():
    junk = jnp.where(MASK[..., None], TEXT, 50.0)
    np.testing.assert_array_equal(run(LATTE), run(LATTE, text=junk))
    released = dataclasses.replace(LATTE, mask_text=False)
    np.testing.assert_array_equal(run(released), run(LATTE, mask=None))


def test_a_learned_sigma_doubles_the_channels():
    config = dataclasses.replace(LATTE, learn_sigma=True)
    assert run(config).shape == (2, 3, 4, 6, 8)


@each_config
def test_flops_are_what_the_compiler_counts(config):
    """On wide layers, attention included: groups cost a group each, not all of N^2."""
    config = dataclasses.replace(config, width=128, num_heads=1, mlp_width=256)
    net = Network.of(make(config))
    latent = jax.ShapeDtypeStruct((1, 8, 16, 16, 4), jnp.float32)  # 512 tokens
    call = functools.partial(net.apply, text_BLD=TEXT[:1], fps_B=FPS[:1])
    compiled = jax.jit(call).lower(net.abstract(), latent, T_B[:1]).compile()
    counted = compiled.cost_analysis()["flops"]
    ours = flops.forward_flops(config, latent.shape[1:], 5)
    assert 0.95 < counted / ours < 1.2
    full = dataclasses.replace(config, groups=("skip", "skip"), skip=1)
    assert flops.forward_flops(full, latent.shape[1:], 5) > 1.1 * ours


def test_attention_of_the_published_models():
    """Pairs of tokens against all pairs: 1/F and 1/(H W), 1/4 of the sparse layers."""

    def share(name):
        row = PUBLISHED[name]
        config, latent = row.config, row.latent_FHWC
        n = flops.num_tokens(config, latent)
        all_pairs = 2 * config.depth * 4 * n * n * config.width
        return flops.attention_flops(config, latent, 0) / all_pairs

    assert share("latte_1") == pytest.approx((1 / 16 + 1 / 1024) / 2)
    assert share("open_sora_1_2") == pytest.approx((1 / 30 + 1 / 3600) / 2)
    assert share("open_sora_plan_1_3") == pytest.approx((4 + 28 / 4) / 32)


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="needs text_BLD"):
        run(LATTE, text=None)
    with pytest.raises(ConfigError, match="embeds_fps needs fps_B"):
        run(OPEN_SORA, fps=None)
    with pytest.raises(ConfigError, match="pattern .* its own, model.groups"):
        make(LATTE, AttentionPlan(pattern=Spatial()))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"groups": ("spatial", "temporl")}, "model.groups: 'temporl' .*'temporal'"),
        ({"position": "sin"}, "model.position='sin'"),
        ({"qk_norm": "rms"}, "model.qk_norm='rms'"),
        ({"skip": 0}, "model.skip=0 must be at least 1"),
        ({"full_pairs": 14}, "model.full_pairs=14 .* none of model.depth=28"),
        ({"width": 1150, "num_heads": 25}, "model.width=1150 must divide by 4"),
        ({"rope_split": (8, 8, 8)}, "model.rope_split=.* must sum to the head dim 72"),
    ],
)
def test_sizes_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        open_sora_1_2(**change)
