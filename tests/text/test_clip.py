"""CLIP's text encoder from a folder: states, pooled vectors, and what is refused."""

import json

import numpy as np
import pytest
from text_folders import write_clip, write_folder

from videogen.core.errors import ConfigError, DataError
from videogen.text import make_encoder
from videogen.text.clip import ClipConfig
from videogen.text.folder import read_fields

TEXTS = ["a red bit", "", "little " * 30]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder)
    return folder


def test_states_pooled_and_projected(folder):
    states, mask_BL = make_encoder(f"clip:{folder}", 20).encode(TEXTS)
    assert states.shape == (3, 20, 16) and mask_BL.sum(1).tolist()[1:] == [2, 20]
    assert not states[~mask_BL].any()
    pooled = make_encoder(f"clip_pooled:{folder}", 1)
    assert (pooled.length, pooled.dim) == (1, 16)
    vector_B1D, mask_B1 = pooled.encode(TEXTS)
    assert mask_B1.shape == (3, 1) and mask_B1.all()
    last_B = mask_BL.sum(1) - 1
    want = states[np.arange(3), last_B]
    np.testing.assert_allclose(vector_B1D[:, 0], want, atol=1e-5)
    projected = make_encoder(f"clip_projected:{folder}", 1)
    assert projected.encode(TEXTS)[0].shape == (3, 1, projected.dim) == (3, 1, 6)


def test_it_is_causal(folder):
    encoder = make_encoder(f"clip:{folder}", 20)
    first, second = encoder.encode(["a red bit", "a red tie"])[0]
    np.testing.assert_allclose(first[:2], second[:2], atol=1e-6)
    assert np.abs(first - second).max() > 0.1


def test_a_length_said_to_a_pooled_encoder_is_no_matter(folder):
    one, more = (make_encoder(f"clip_pooled:{folder}", n) for n in (1, 20))
    assert one.fingerprint == more.fingerprint


def test_all_of_clip_is_read_for_its_text(tmp_path, folder):
    tensors = write_clip(tmp_path)
    extra = {"vision_model.x": np.ones(2), "logit_scale": np.ones(())}
    extra["text_model.embeddings.position_ids"] = np.arange(20)
    (config,) = [tmp_path / "config.json"]
    text = config.read_text()
    write_folder(tmp_path, tensors | extra, {})
    config.write_text(text)
    want, got = (make_encoder(f"clip:{x}", 9).encode(TEXTS) for x in (folder, tmp_path))
    np.testing.assert_array_equal(got[0], want[0])


def test_the_width_of_projections_may_stand_beside_the_sections(tmp_path, folder):
    values = json.loads((folder / "config.json").read_text())
    values = values.get("text_config", values)
    width = values.pop("projection_dim")
    whole = {"text_config": values | {"projection_dim": 512}, "projection_dim": width}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(whole))
    assert read_fields(tmp_path, ClipConfig, "text_config").projection_dim == width


def test_errors_say_what_would_work(tmp_path, folder):
    with pytest.raises(ConfigError, match=r"length=21 must be in 2\.\.20 for clip"):
        make_encoder(f"clip:{folder}", 21)
    write_clip(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(
        DataError, match="tokenizer.json, or vocab.json with merges.txt"
    ):
        make_encoder(f"clip:{tmp_path}", 9)
    (tmp_path / "merges.txt").write_text("no merge\n")
    with pytest.raises(DataError, match="vocab.json: cannot be read"):
        make_encoder(f"clip:{tmp_path}", 9)
