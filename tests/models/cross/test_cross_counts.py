"""Blocks of the family by their closed forms, and Step-Video's published table of FLOPs."""

import math

import pytest

from videogen.models.cross.flops import attention_flops, linear_flops
from videogen.models.cross.model import make
from videogen.models.cross.sizes import PUBLISHED
from videogen.nn.fence import Network


def in_a_block(name):
    config = PUBLISHED[name].config
    leaves = Network.of(make(config)).abstract()
    return config, sum(
        math.prod(leaf.shape[1:])
        for path, leaf in leaves.items()
        if path.startswith("blocks.")
    )


@pytest.mark.parametrize(
    "name, formula",
    [
        ("wan2_1_t2v_1_3b", lambda d, f, e: 8 * d * d + 2 * d * f + f + 21 * d),
        ("wan2_2_ti2v_5b", lambda d, f, e: 8 * d * d + 2 * d * f + f + 21 * d),
        # Keys and values of the image, and the norm of the keys.
        ("wan2_1_i2v_14b", lambda d, f, e: 10 * d * d + 2 * d * f + f + 24 * d),
        ("ltx_video_2b", lambda d, f, e: 16 * d * d + 23 * d),
        ("allegro", lambda d, f, e: 16 * d * d + 19 * d),
        ("step_video_30b", lambda d, f, e: 8 * d * d + 2 * d * f + 10 * d + 4 * e),
        # The published core, then norms (affine RMS) and the table of this project.
        ("movie_gen_30b", lambda d, f, e: 8 * d * d + 3 * d * f + 9 * d),
    ],
)
def test_a_block(name, formula):
    config, counted = in_a_block(name)
    assert counted == formula(config.width, config.mlp_width, config.head_dim)


def test_the_core_of_movie_gen_is_as_published():
    config = PUBLISHED["movie_gen_30b"].config
    core = 8 * config.width**2 + 3 * config.width * config.mlp_width
    assert core == 603_979_776


# arXiv 2502.10248, Table 3: TFLOPs of a training sample of (frames, height, width) pixels,
# of which 17 x 16 x 16 become 3 x 1 x 1 tokens (an image: one latent frame).
STEP_VIDEO = {
    (204, 256, 256): 1717.20,
    (204, 192, 320): 1592.61,
    (136, 256, 256): 1079.85,
    (136, 192, 320): 1004.89,
    (68, 256, 256): 509.31,
    (68, 192, 320): 475.87,
    (1, 256, 256): 44.99,
}


@pytest.mark.parametrize("pixels", STEP_VIDEO)
def test_step_videos_table_of_flops(pixels):
    config = PUBLISHED["step_video_30b"].config
    frames, height, width = pixels
    latent = (3 * (frames // 17) or 1, height // 16, width // 16, 64)
    blocks = sum(f(config, latent, 256) for f in (linear_flops, attention_flops))
    assert 3 * blocks / 1e12 == pytest.approx(STEP_VIDEO[pixels], rel=1.2e-4)
