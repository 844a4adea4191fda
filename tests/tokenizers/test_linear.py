"""The linear tokenizer is the best linear code, the same for any order of fitting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videogen import tokenizers
from videogen.core.errors import DataError
from videogen.tokenizers.base import LevelsTokenizer
from videogen.tokenizers.levels import pixels_of
from videogen.tokenizers.linear import STRIDES, Fitter

CHANNELS = 6


def smooth_clips(num: int, frames: int = 9, height: int = 24, width: int = 16):
    """Correlated levels: random walks over time, height and width."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(num, frames, height, width, 3))
    walk = noise.cumsum(axis=1).cumsum(axis=2).cumsum(axis=3)
    walk = 255 * (walk - walk.min()) / (walk.max() - walk.min())
    return np.rint(walk).astype(np.uint8)


LEVELS = smooth_clips(5)
CLIPS = np.asarray(pixels_of(LEVELS))


def fit(*batches, channels=CHANNELS):
    fitter = Fitter()
    for batch in batches:
        fitter.update(batch)
    return fitter.finish(channels)


@pytest.fixture(scope="module")
def tokenizer():
    return fit(LEVELS)


def test_shapes_and_facts(tokenizer):
    latent = tokenizer.encode(jnp.asarray(CLIPS))
    assert latent.shape == (5, 3, 3, 2, CHANNELS)
    assert latent.dtype == jnp.float32
    assert tokenizer.strides == STRIDES
    assert tokenizer.channels == CHANNELS
    assert tokenizer.decode(latent).shape == CLIPS.shape


@pytest.mark.parametrize(
    "shape", [(1, 17, 64, 96), (1, 1, 64, 96), (2, 9, 24, 40), (1, 1, 8, 16)]
)
def test_levels_are_coded_as_their_pixels(tokenizer, shape):
    """To the bit, on CPUs: both move the same numbers into the same product."""
    levels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert isinstance(tokenizer, LevelsTokenizer)
    found = tokenizer.encode_levels(levels)
    expected = jax.jit(tokenizer.encode)(pixels_of(levels))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_one_image_is_coded_as_the_first_frame_of_a_clip(tokenizer):
    image = tokenizer.encode(jnp.asarray(CLIPS[:, :1]))
    clip = tokenizer.encode(jnp.asarray(CLIPS))
    np.testing.assert_allclose(image, clip[:, :1], atol=1e-5)


def test_latents_have_unit_variance_and_no_correlation(tokenizer):
    latent = np.asarray(tokenizer.encode(jnp.asarray(CLIPS)), np.float64)
    for part in (latent[:, :1], latent[:, 1:]):
        rows = part.reshape(-1, CHANNELS)
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
        covariance = rows.T @ rows / len(rows)
        np.testing.assert_allclose(covariance, np.eye(CHANNELS), atol=1e-3)


def test_encode_inverts_decode_for_any_latent(tokenizer):
    latent = jax.random.normal(jax.random.key(0), (2, 3, 2, 2, CHANNELS))
    again = jax.jit(tokenizer.encode)(jax.jit(tokenizer.decode)(latent))
    np.testing.assert_allclose(again, latent, atol=1e-5)


def test_decode_of_encode_is_an_orthogonal_projection(tokenizer):
    pixels = jnp.asarray(CLIPS)
    once = tokenizer.decode(tokenizer.encode(pixels))
    twice = tokenizer.decode(tokenizer.encode(once))
    np.testing.assert_allclose(once, twice, atol=1e-5)
    # The error is orthogonal to everything that can be decoded.
    other = tokenizer.decode(jnp.zeros_like(tokenizer.encode(pixels)) + 1.0)
    assert abs(float(jnp.vdot(pixels - once, once - other))) < 0.01 * pixels.size**0.5


def cuboids(clips, stride_t):
    batch, frames, height, width, _ = clips.shape
    split = clips.reshape(batch, frames // stride_t, stride_t, height // 8, 8, -1, 8, 3)
    return split.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, stride_t * 192)


@pytest.mark.parametrize("first", [True, False])
def test_no_linear_code_reconstructs_better(tokenizer, first):
    """Eckart-Young: the optimum of an independent numpy SVD is reached."""
    part = slice(0, 1) if first else slice(1, None)
    rows = cuboids(CLIPS[:, part].astype(np.float64), 1 if first else 4)
    tail = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[CHANNELS:]
    decoded = tokenizer.decode(tokenizer.encode(jnp.asarray(CLIPS)))
    error = float(np.sum(np.square(np.asarray(decoded - CLIPS)[:, part], dtype=float)))
    np.testing.assert_allclose(error, np.sum(tail**2), rtol=1e-4)


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(5)), cut=st.integers(0, 5))
def test_any_split_and_order_of_merging_gives_the_same_bits(tokenizer, order, cut):
    parts = [Fitter(), Fitter()]
    for place, index in enumerate(order):
        parts[place >= cut].update(LEVELS[index : index + 1])
    parts[1].merge(parts[0])
    assert parts[1].finish(CHANNELS).fingerprint == tokenizer.fingerprint


def test_the_sums_are_those_of_whole_numbers():
    levels = np.random.default_rng(0).choice([0, 1, 254, 255], (1, 5, 320, 320, 3))
    fitter = Fitter()
    fitter.update(levels.astype(np.uint8))
    cut = levels[0, 1:].reshape(4, 40, 8, 40, 8, 3).transpose(1, 3, 0, 2, 4, 5)
    rows = cut.reshape(1600, -1).astype(np.int64)  # more than one product holds
    total, second = fitter._rest.sums()
    np.testing.assert_array_equal(total, rows.sum(axis=0))
    np.testing.assert_array_equal(second[:5], rows[:, :5].T @ rows)
    np.testing.assert_array_equal(second, second.T)


def test_constant_pixels_are_guarded():
    flat = fit(np.full((1, 5, 16, 16, 3), 153, np.uint8))
    pixels = jnp.full((1, 5, 16, 16, 3), 0.2)
    latent = flat.encode(pixels)
    assert np.isfinite(np.asarray(latent)).all()
    np.testing.assert_allclose(flat.decode(latent), pixels, atol=1 / 127)


def test_the_causal_rule_is_enforced(tokenizer):
    with pytest.raises(ValueError, match="num_frames=8 breaks .* 5 or 9 would work"):
        tokenizer.encode(jnp.zeros((1, 8, 16, 16, 3)))
    with pytest.raises(ValueError, match="height=12 is not a multiple"):
        tokenizer.encode_levels(np.zeros((1, 5, 12, 16, 3), np.uint8))
    with pytest.raises(ValueError, match="height=12 is not a multiple"):
        Fitter().update(np.zeros((1, 5, 12, 16, 3), np.uint8))


def test_fitting_refuses_nothing_and_too_much():
    with pytest.raises(ValueError, match="no clips"):
        Fitter().finish(4)
    with pytest.raises(ValueError, match="channels=193: 1 to 192 would work"):
        fit(LEVELS, channels=193)


def test_saved_and_loaded_is_the_same(tokenizer, tmp_path):
    file = tokenizer.save(str(tmp_path))
    assert file == f"tokenizer-{tokenizer.fingerprint[:8]}.safetensors"
    loaded = tokenizers.load(
        tmp_path,
        name="linear",
        file=file,
        fingerprint=tokenizer.fingerprint,
        strides=tokenizer.strides,
        channels=CHANNELS,
        mean=[0.5] * CHANNELS,
        std=[2.0] * CHANNELS,
    )
    np.testing.assert_array_equal(loaded.mean_C, np.float32(0.5))
    np.testing.assert_array_equal(loaded.std_C, np.float32(2))
    assert loaded.fingerprint == tokenizer.fingerprint
    pixels = jnp.asarray(CLIPS)
    np.testing.assert_array_equal(loaded.encode(pixels), tokenizer.encode(pixels))


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "other", "kind"])
def test_a_wrong_file_is_refused(tokenizer, tmp_path, damage):
    file, fingerprint, name = (
        tokenizer.save(str(tmp_path)),
        tokenizer.fingerprint,
        "linear",
    )
    path = tmp_path / file
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-100])
    elif damage == "flip":
        content[-5] ^= 1
        path.write_bytes(content)
    elif damage == "missing":
        path.unlink()
    elif damage == "other":
        fingerprint = "0" * 64
    else:
        name = "liner"
    facts = {"strides": (4, 8, 8), "channels": 4, "mean": [0.0], "std": [1.0]}
    with pytest.raises(DataError, match=file) as error:
        tokenizers.load(
            tmp_path, name=name, file=file, fingerprint=fingerprint, **facts
        )
    assert "\n" not in str(error.value)
