"""Cross-attention models against PyTorch: outputs, gradients, weights."""

import pytest
from parity.harness import check_parity, drawing

from videogen.models.cross import weights

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def cross():
    from parity.twins import cross

    return cross


# (head dim, patch, latent frames, height, width): no two sizes of a grid are equal.
@pytest.mark.parametrize(
    "head_dim, patch, sizes",
    [
        (12, (1, 2, 2), (3, 8, 10)),
        (32, (1, 2, 4), (2, 6, 16)),
        (16, (2, 1, 3), (4, 5, 9)),
    ],
)
def test_wan(cross, head_dim, patch, sizes):
    check_parity(cross.wan(sizes, head_dim, patch))


def test_wan_with_a_time_per_token(cross):
    """Wan2.2 TI2V-5B: tokens of the given frame are clean."""
    t_BN = drawing()(3, 3 * 4 * 5) % 1
    t_BN[:, :20] = 0
    check_parity(cross.wan(), t_BN)


def test_wan_with_an_image(cross):
    check_parity(cross.wan_i2v())


def test_wans_own_names_cover_every_parameter(cross):
    """The same table of shapes by diffusers' converter's names: see its source."""
    twin = cross.wan_i2v()
    keys = weights.wan_native(twin.config).their_shapes(twin.shapes)
    assert len(keys) == len(twin.table.their_shapes(twin.shapes))
    width = twin.config.width
    assert keys["blocks.1.self_attn.norm_q.weight"] == (width,)
    assert keys["blocks.0.cross_attn.k_img.weight"] == (width, width)
    assert keys["head.modulation"] == (1, 2, width)
    assert keys["patch_embedding.weight"] == (width, 36, 1, 2, 2)
    assert keys["img_emb.proj.3.weight"] == (width, 24)


@pytest.mark.parametrize("width", [48, 40])
def test_ltx(cross, width):
    """A time per token."""
    check_parity(cross.ltx_of_slow_angles(width), drawing()(3, 60) % 1)


def test_allegro(cross):
    check_parity(cross.allegro())


def test_step_video(cross):
    check_parity(cross.step_video())


def test_movie_gen(cross):
    """By the formulas of the paper, from three texts of different lengths."""
    check_parity(cross.movie_gen())
