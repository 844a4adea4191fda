"""What samples are given is what training would have given; bad files are one line."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from videogen.core.errors import ConfigError, DataError
from videogen.diffusion.tasks import TaskMix
from videogen.eval.given import files_of, fit, given_frames, given_latents, place, read
from videogen.eval.video import read_mp4, write_mp4
from videogen.tokenizers.base import normalise
from videogen.tokenizers.linear import Fitter

FRAMES, LATENTS, STRIDE = 17, 5, 4
CLIP = np.random.default_rng(0).integers(0, 256, (FRAMES, 16, 24, 3), np.uint8)


@functools.cache
def tokenizer():
    fitter = Fitter()
    fitter.update(CLIP[None])
    return fitter.finish(4)


def encoded(frames):
    """x_0 of a clip in a dataset."""
    latent = tokenizer().encode(jnp.asarray(frames[None] / np.float32(127.5) - 1))
    parts = tokenizer().mean_C, tokenizer().std_C
    return normalise(latent.astype(jnp.bfloat16), *parts)


def given(task, *files):
    size = (LATENTS, 2, 3)
    parts = {
        "strides": tokenizer().strides,
        "size": size,
        "patch_frames": 1,
        "fps": 24.0,
    }
    frames_BTHWC, given_BF = given_frames(task, [tuple(map(str, files))], **parts)
    return given_latents(frames_BTHWC, tokenizer()), jnp.asarray(given_BF)


@pytest.mark.parametrize(
    "task, files, latents",
    [
        ("i2v", [CLIP[:1]], [0]),
        ("i2v", [CLIP], [0]),
        ("forward", [CLIP[:1]], [0]),
        ("forward", [CLIP[:8]], [0, 1]),
        ("backward", [CLIP[-4:]], [4]),
        ("backward", [CLIP[-8:]], [3, 4]),
        ("keyframes", [CLIP], [0, 4]),
        ("keyframes", [CLIP[:1], CLIP[-9:]], [0, 4]),
    ],
)
def test_given_frames_lie_where_they_are_of_the_clip(task, files, latents):
    sizes = {"num_latents": LATENTS, "stride": STRIDE, "patch_frames": 1}
    frames, given_F = place(task, files, **sizes)
    assert frames.shape == CLIP.shape and list(np.flatnonzero(given_F)) == latents
    shift = (8 - 5) if task == "forward" and len(files[0]) == 8 else 0
    for f in latents:
        of = slice(max(0, 4 * f - 3), 4 * f + 1)
        where = slice(of.start + shift, of.stop + shift)  # the video's end goes on
        np.testing.assert_array_equal(frames[of], CLIP[where])


def test_a_long_video_gives_half_of_the_clip():
    sizes = {"num_latents": LATENTS, "stride": STRIDE, "patch_frames": 1}
    frames, given_F = place("forward", [CLIP], **sizes)
    assert list(given_F) == [1, 1, 0, 0, 0]
    np.testing.assert_array_equal(frames[:5], CLIP[-5:])
    assert (frames[5:] == CLIP[-1]).all()  # and stands still after it
    frames, given_F = place("backward", [CLIP], **sizes)
    assert list(given_F) == [0, 0, 0, 1, 1]
    np.testing.assert_array_equal(frames[-8:], CLIP[:8])
    assert (frames[:-8] == CLIP[0]).all()


@pytest.mark.parametrize("task", ["i2v", "forward", "backward", "keyframes"])
def test_frames_of_one_token_are_given_together(task):
    sizes = {"num_latents": 4, "stride": STRIDE, "patch_frames": 2}
    frames, given_F = place(task, [CLIP[:1]], **sizes)
    first, last = task != "backward", task in ("backward", "keyframes")
    assert len(frames) == 13 and list(given_F) == [first, first, last, last]
    assert (frames == CLIP[0]).all()


def test_channels_are_what_training_would_have_given(tmp_path):
    Image.fromarray(CLIP[0]).save(tmp_path / "first.png")
    z, given_BF = given("i2v", tmp_path / "first.png")
    first_BF = jnp.arange(LATENTS)[None] == 0
    np.testing.assert_array_equal(given_BF, first_BF)
    mix = TaskMix()
    want = mix.beside(encoded(CLIP), first_BF, 5)
    np.testing.assert_allclose(mix.beside(z, given_BF, 5), want, atol=1e-5)

    write_mp4(tmp_path / "clip.mp4", CLIP, fps=24.0)
    z, given_BF = given("keyframes", tmp_path / "clip.mp4")
    want = mix.beside(encoded(read_mp4(tmp_path / "clip.mp4")[0]), given_BF, 5)
    np.testing.assert_allclose(mix.beside(z, given_BF, 5), want, atol=1e-5)


def test_images_are_cropped_to_the_clips_aspect():
    wide = np.zeros((1, 10, 90, 3), np.uint8)
    wide[:, :, 30:60] = 200
    assert (fit(wide, 0.0, 24.0, 5, 15)[:, :, 1:-1] == 200).all()
    assert fit(wide, 0.0, 24.0, 5, 45)[0, :, :14].max() == 0
    assert fit(wide, 0.0, 24.0, 16, 8).shape == (1, 16, 8, 3)
    np.testing.assert_array_equal(fit(CLIP, 24.0, 24.0, 16, 24), CLIP)


def test_videos_are_resampled_to_the_clips_rate():
    np.testing.assert_array_equal(fit(CLIP, 48.0, 24.0, 16, 24), CLIP[:16:2])
    twice = fit(CLIP, 12.0, 24.0, 16, 24)
    np.testing.assert_array_equal(twice[::2], CLIP)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ConfigError, match="given: .*/none.png: No such file"):
        read(str(tmp_path / "none.png"))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match="text.png: not a video that can be read"):
        read(str(tmp_path / "text.png"))
    Image.fromarray(CLIP[0]).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="cut.png: .* an image or a video would"):
        read(str(tmp_path / "cut.png"))


def test_files_are_counted():
    assert files_of("keyframes", "abcd", 2) == [("a", "b"), ("c", "d")]
    assert files_of("keyframes", "ab", 2) == [("a",), ("b",)]
    with pytest.raises(
        ConfigError, match="3 files for 2 prompts; .* takes 2, or 4, each"
    ):
        files_of("keyframes", "abc", 2)
    with pytest.raises(ConfigError, match="4 files for 2 prompts; .*'i2v' takes 2$"):
        files_of("i2v", "abcd", 2)


def test_an_image_dataset_gives_nothing():
    with pytest.raises(ConfigError, match="clips of one frame"):
        place("i2v", [CLIP[:1]], num_latents=1, stride=STRIDE, patch_frames=1)
