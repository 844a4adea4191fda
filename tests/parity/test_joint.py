"""HunyuanVideo, HunyuanVideo-1.5 and FLUX (Open-Sora 2.0) against diffusers."""

import pytest
from parity.harness import check_parity

from videogen.models.joint.model import make
from videogen.models.joint.sizes import PUBLISHED
from videogen.nn.fence import Network

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def joint():
    pytest.importorskip("torch")
    from parity.twins import joint

    return joint


def test_hunyuan_video(joint):
    check_parity(joint.hunyuan())


def test_hunyuan_video_i2v_by_channels(joint):
    check_parity(joint.hunyuan_by_channels())


def test_hunyuan_video_i2v_by_clean_tokens(joint):
    check_parity(joint.hunyuan_by_clean_tokens())


@pytest.mark.parametrize("has_image", [True, False])
def test_hunyuan_video_1_5(joint, has_image):
    check_parity(joint.hunyuan_1_5(has_image))


def test_flux(joint):
    """Open-Sora 2.0, of a video."""
    check_parity(joint.flux())


RELEASED = {  # published name: (diffusers' class, what it is told; the rest is default)
    "hunyuan_video": ("HunyuanVideoTransformer3DModel", {}),
    "hunyuan_video_no_guidance": (
        "HunyuanVideoTransformer3DModel",
        {"guidance_embeds": False},
    ),
    "hunyuan_video_i2v_concat": (
        "HunyuanVideoTransformer3DModel",
        {
            "in_channels": 33,
            "guidance_embeds": False,
            "image_condition_type": "latent_concat",
        },
    ),
    "hunyuan_video_i2v": (
        "HunyuanVideoTransformer3DModel",
        {"image_condition_type": "token_replace"},
    ),
    "hunyuan_video_1_5": ("HunyuanVideo15Transformer3DModel", {}),
    "open_sora_2": ("FluxTransformer2DModel", {}),
}


@pytest.mark.parametrize("name", RELEASED)
def test_tables_fit_the_released_sizes(name):
    """Every key and shape, without memory for a number."""
    import diffusers
    import torch

    kind, told = RELEASED[name]
    with torch.device("meta"):
        state = getattr(diffusers, kind)(**told).state_dict()
    config = PUBLISHED[name].config
    shapes = {p: x.shape for p, x in Network.of(make(config)).abstract().items()}
    table = PUBLISHED[name].weights["diffusers"](config)
    table.check(shapes, {key: tuple(x.shape) for key, x in state.items()})


def test_every_table_of_diffusers_is_checked():
    assert {
        n for n, p in PUBLISHED.items() if "diffusers" in p.weights
    } == RELEASED.keys()
