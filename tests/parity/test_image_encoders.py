"""CLIP's and SigLIP's image towers against transformers: tiny random networks, saved by it."""

import numpy as np
import pytest
from parity.towers import near, save

from videogen.image import make_encoder, pixels

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

SIZES = dict(
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=4,
    image_size=24,
    patch_size=6,
)
RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((20, 33), (50, 24))]


def states_of(model, prepare):
    """All hidden states, and the last one as the model gives it."""
    import torch

    seen = np.stack([prepare(image, SIZES["image_size"]) for image in IMAGES])
    with torch.no_grad():
        made = model(torch.from_numpy(seen).movedim(-1, 1), output_hidden_states=True)
    return [x.numpy() for x in made.hidden_states], made.last_hidden_state.numpy()


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_clip(act, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(**SIZES, hidden_act=act)
    model = save(transformers.CLIPVisionModel(config), tmp_path)
    states, _ = states_of(model, pixels.of_clip)
    got = make_encoder(f"clip:{tmp_path}").encode(IMAGES)
    assert got.shape == (2, 17, 24)
    near(got, states[-2])


def test_all_of_clip(tmp_path):
    transformers = pytest.importorskip("transformers")
    text = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.CLIPConfig(
        vision_config=SIZES,
        text_config=text | {"vocab_size": 9, "num_hidden_layers": 1},
    )
    model = save(transformers.CLIPModel(config), tmp_path)
    states, _ = states_of(model.vision_model, pixels.of_clip)
    near(make_encoder(f"clip:{tmp_path}").encode(IMAGES), states[-2])


@pytest.mark.parametrize("head", [False, True])
def test_siglip(head, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.SiglipVisionConfig(**SIZES, vision_use_head=head)
    model = save(transformers.SiglipVisionModel(config), tmp_path)
    _, last = states_of(model, pixels.of_siglip)
    got = make_encoder(f"siglip:{tmp_path}").encode(IMAGES)
    assert got.shape == (2, 16, 24)
    near(got, last)


@pytest.mark.parametrize("size", [7, 24, 60])
def test_pixels_of_clip_are_interpolated_as_wan_does(size):
    torch = pytest.importorskip("torch")
    for image in IMAGES:
        signed = torch.from_numpy(image).float().movedim(-1, 0) / 255 * 2 - 1
        square = torch.nn.functional.interpolate(
            signed[None], size=(size, size), mode="bicubic", align_corners=False
        )
        unit = (square * 0.5 + 0.5)[0].movedim(0, -1).numpy()
        want = (unit - pixels.CLIP_MEAN) / pixels.CLIP_STD
        np.testing.assert_allclose(pixels.of_clip(image, size), want, atol=1e-4)


def test_pixels_of_siglip_are_those_of_its_processor():
    transformers = pytest.importorskip("transformers")
    processor = transformers.SiglipImageProcessorPil(size={"height": 24, "width": 24})
    for image in IMAGES:
        want = processor(image, return_tensors="np")["pixel_values"][0]
        got = np.moveaxis(pixels.of_siglip(image, 24), -1, 0)
        np.testing.assert_allclose(got, want, atol=1e-6)
