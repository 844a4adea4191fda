"""Image encoders of a folder: which layer, what of a release is read, what is refused."""

import json

import numpy as np
import pytest
from image_folders import SIZES, write_vision
from text_folders import write_folder

from videogen.core.errors import ConfigError, DataError
from videogen.image import make_encoder
from videogen.image.base import ImageEncoder


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    sizes = ((8, 8), (11, 6), (8, 8))
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


@pytest.mark.parametrize("kind, length", [("clip", 5), ("siglip", 4)])
def test_tokens_of_images_of_any_size(kind, length, tmp_path, images):
    write_vision(tmp_path, kind)
    encoder = make_encoder(f"{kind}:{tmp_path}")
    assert isinstance(encoder, ImageEncoder)
    found = encoder.encode(images)
    assert found.shape == (3, encoder.length, encoder.dim) == (3, length, 16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(encoder.encode(images[1:2])[0], found[1], atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 0.1
    rough = make_encoder(f"{kind}_bf16:{tmp_path}")
    assert rough.fingerprint != encoder.fingerprint
    error = np.abs(rough.encode(images) - found).max()
    assert 0 < error < 0.05 * np.abs(found).max()


def test_of_clip_the_last_block_but_one(tmp_path, images):
    """The last block's weights, and all of CLIP that is not its tower, change nothing."""
    tensors = write_vision(tmp_path, num_hidden_layers=3)
    found = make_encoder(f"clip:{tmp_path}").encode(images)
    assert not [key for key in tensors if "layers.2" in key or "post" in key]
    extra = {
        key: np.ones(2)
        for key in (
            "vision_model.encoder.layers.2.mlp.fc1.bias",
            "vision_model.post_layernorm.weight",
            "vision_model.embeddings.position_ids",
            *("text_model.x", "logit_scale", "visual_projection.weight"),
        )
    }
    sections = {"vision_config": SIZES | {"num_hidden_layers": 3}}
    write_folder(tmp_path, tensors | extra, sections)
    np.testing.assert_array_equal(
        make_encoder(f"clip:{tmp_path}").encode(images), found
    )
    fewer = {"vision_config": SIZES}  # of two blocks, of which one runs
    kept = {k: x for k, x in tensors.items() if "layers.1" not in k}
    write_folder(tmp_path, kept, fewer)
    other = make_encoder(f"clip:{tmp_path}").encode(images)
    assert np.abs(other - found).max() > 0.1


def test_a_config_leaves_out_what_is_usual_for_its_kind(tmp_path, images):
    write_vision(
        tmp_path, "siglip", hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6
    )
    found = make_encoder(f"siglip:{tmp_path}").encode(images)
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(SIZES))
    assert fields.keys() - SIZES.keys() >= {"hidden_act", "layer_norm_eps"}
    np.testing.assert_array_equal(
        make_encoder(f"siglip:{tmp_path}").encode(images), found
    )


def test_errors_say_what_would_work(tmp_path):
    with pytest.raises(ConfigError, match="'clp' does not exist.*clip"):
        make_encoder("clp:/x")
    with pytest.raises(ConfigError, match="'clip:/path/of/it' would work"):
        make_encoder("clip")
    with pytest.raises(DataError, match="config.json cannot be read"):
        make_encoder(f"clip:{tmp_path}")
    write_vision(tmp_path, "siglip")
    with pytest.raises(DataError, match="missing: .*class_embedding"):
        make_encoder(f"clip:{tmp_path}")
