"""Samples: of their seed and conditions alone, guided as asked, written as named."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from networks import random_params
from PIL import Image

from videogen.core.errors import ConfigError
from videogen.diffusion.parts import each
from videogen.diffusion.tasks import TaskMix
from videogen.eval.sampling import (
    Sample,
    SampleConfig,
    make_sample_fn,
    write_samples,
)
from videogen.eval.video import read_mp4, read_sound
from videogen.models import FAMILIES
from videogen.nn.fence import Network

SHAPE = (2, 4, 4, 4)  # (F, H, W, C)
CONFIG = SampleConfig(labels=(0, 1, 2), num_steps=2, guidance=2.0)


def first_three(z_BFHWC):
    """A decoder: three channels are the colours."""
    return z_BFHWC[..., :3] / 4


@functools.cache
def network():
    config = FAMILIES["dit"].config(
        latent_channels=4, width=24, depth=1, num_heads=2, mlp_width=48, num_classes=4
    )
    return Network.of(FAMILIES["dit"].make(config))


@functools.cache
def compiled(config, decode):
    return jax.jit(make_sample_fn(network(), config, SHAPE, decode))


def sample(seeds, labels, *, null=-1, decode=first_three, **changes):
    labels_B = np.asarray(labels, np.int32)
    return np.asarray(
        compiled(dataclasses.replace(CONFIG, **changes), decode)(
            random_params(network()),
            np.asarray(seeds, np.uint32),
            {"label_B": labels_B},
            {"label_B": np.full_like(labels_B, null)},
        )
    )


def test_frames_are_uint8_of_the_latent_shape():
    frames = sample([0, 1, 2], [0, 1, 2])
    assert frames.dtype == np.uint8 and frames.shape == (3, 2, 4, 4, 3)
    assert len(np.unique(frames)) > 20


@pytest.mark.parametrize("pixel, level", [(-1, 0), (0, 128), (1, 255), (9, 255)])
def test_pixels_become_levels_and_what_is_beyond_is_cut(pixel, level):
    frames = sample([0], [0], decode=lambda z: jnp.full_like(z[..., :3], pixel))
    assert np.all(frames == level)


def test_the_same_seed_gives_the_same_video():
    first = sample([4, 5], [1, 1])
    np.testing.assert_array_equal(first, sample([4, 5], [1, 1]))
    assert np.any(first[0] != first[1])
    assert np.any(first != sample([4, 5], [1, 1], seed=1))


def test_a_video_does_not_depend_on_its_neighbours():
    first = sample([3, 4, 5], [0, 1, 2])
    other = sample([9, 4, 8], [3, 1, 3])
    np.testing.assert_array_equal(first[1], other[1])
    turned = sample([5, 4, 3], [2, 1, 0])
    np.testing.assert_array_equal(first, turned[::-1])
    alone = sample([4], [1])
    np.testing.assert_allclose(first[1].astype(int), alone[0], atol=1)


def test_the_label_matters():
    frames = sample([4, 4], [0, 1])
    assert np.any(frames[0] != frames[1])


def test_guidance_1_is_the_conditional_model_and_0_the_unconditional():
    conditional = sample([4, 5], [1, 2], guidance=1.0)
    np.testing.assert_array_equal(
        conditional, sample([4, 5], [1, 2], guidance=1.0, null=3)
    )
    null = sample([4, 5], [-1, -1], guidance=1.0)
    np.testing.assert_array_equal(null, sample([4, 5], [1, 2], guidance=0.0))
    assert np.any(null != conditional)
    same = sample([4, 5], [1, 1], guidance=7.0, null=1)
    levels = sample([4, 5], [1, 1], guidance=1.0).astype(int)
    np.testing.assert_allclose(same, levels, atol=1)


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("method", ["euler", "heun"])
def test_two_equal_experts_are_one_network(method):
    """To the bit: the decoder shows the last ones."""
    config = dataclasses.replace(CONFIG, method=method, num_steps=4, shift=3.0)
    config = dataclasses.replace(config, boundary=0.7, low_guidance=CONFIG.guidance)
    draw = jax.jit(make_sample_fn(network(), config, SHAPE, lambda z: jnp.sin(1e5 * z)))
    params, labels = random_params(network()), np.array([1, 2], np.int32)
    told = (np.array([4, 5], np.uint32), {"label_B": labels}, {"label_B": labels * 0})
    np.testing.assert_array_equal(draw(params, *told), draw(params, *told, params))


class Constant(nnx.Module):
    """Predicts its parameter; twice that of label 1."""

    def __init__(self, rngs):
        self.value = nnx.Param(jnp.ones(()))

    def __call__(self, x_t, t_B, label_B, **_):
        scale_B = (1.0 + label_B) * self.value[...]
        return jnp.broadcast_to(scale_B[:, None, None, None, None], x_t.shape)


def test_each_expert_takes_the_steps_on_its_side_under_its_own_guidance():
    """Of times 1, .75, .5, .25 the first three are one's, the last the other's."""
    config = SampleConfig(
        **{"labels": (1,), "num_steps": 4, "boundary": 0.5},
        **{"guidance": 3.0, "low_guidance": 2.0},
    )
    decode = lambda z: jnp.tanh(z[..., :3] / 9)  # noqa: E731
    draw = jax.jit(make_sample_fn(Network.of(Constant), config, SHAPE, decode))
    told = [{"label_B": np.full(1, x, np.int32)} for x in (1, 0)]

    def latent(high, low):
        high, low = ({"value": jnp.float32(x)} for x in (high, low))
        levels = np.asarray(draw(high, np.zeros(1, np.uint32), *told, low))
        return np.arctanh(levels / 127.5 - 1) * 9

    # w + g (2 w - w) = w (1 + g)
    want = -0.25 * (3 * 1.0 * (1 + 3.0) + 1 * -2.0 * (1 + 2.0))
    np.testing.assert_allclose(latent(1.0, -2.0) - latent(0.0, 0.0), want, atol=0.2)


DATA = jnp.asarray(np.random.default_rng(0).uniform(-3, 3, (2, *SHAPE)), np.float32)
GIVEN_BF = np.array([[True, False], [False, True]])


class Oracle(nnx.Module):
    """Knows DATA, or what it is given of it beside; says nothing useful of clean frames."""

    def __init__(self, rngs):
        pass

    def __call__(self, x_t, t, given_BFHWC=None, **_):
        x_0 = DATA if given_BFHWC is None else given_BFHWC[..., 2:]
        t_BF = t[:, None] if t.ndim == 1 else t[:, ::16]  # a frame has 16 tokens
        return (x_t - x_0) / t_BF[:, :, None, None, None]  # at t = 0 not finite


def levels(z):
    return np.asarray(jnp.round((jnp.clip(first_three(z), -1, 1) + 1) * 127.5))


@pytest.mark.parametrize("method", ["euler", "heun"])
def test_frames_that_are_kept_clean_are_reproduced_exactly(method):
    config = dataclasses.replace(CONFIG, method=method, num_steps=3)
    draw = jax.jit(make_sample_fn(Network.of(Oracle), config, SHAPE, first_three))
    told = {"clean_BFHWC": DATA + 1, "given_BF": GIVEN_BF}
    frames = np.asarray(draw({}, np.arange(2, dtype=np.uint32), told, told))
    np.testing.assert_array_equal(frames[GIVEN_BF], levels(DATA + 1)[GIVEN_BF])
    if method == "euler":  # Heun's last step asks at t = 0
        np.testing.assert_allclose(
            frames, levels(DATA + GIVEN_BF[..., None, None, None]), atol=1
        )


def test_an_oracle_of_given_channels_reproduces_them():
    beside = TaskMix().beside(DATA, jnp.asarray(GIVEN_BF), 6)
    told = {"given_BFHWC": beside}
    config = dataclasses.replace(CONFIG, num_steps=3)
    draw = jax.jit(make_sample_fn(Network.of(Oracle), config, SHAPE, first_three))
    frames = np.asarray(draw({}, np.arange(2, dtype=np.uint32), told, told))
    np.testing.assert_allclose(frames, levels(beside[..., 2:]), atol=1)


def videos(count):
    random = np.random.default_rng(0)
    return [
        Sample(frames_THWC=random.integers(0, 256, (5, 8, 8, 3), np.uint8))
        for _ in range(count)
    ]


def test_every_file_that_samples_json_names_is_there(tmp_path):
    out = tmp_path / "samples" / "step_000007"
    write_samples(
        out, videos(2), ("a", "b"), fps=8.0, upscale=4, facts={"step": 7, "seed": 3}
    )
    record = json.loads((out / "samples.json").read_text())
    assert [entry["caption"] for entry in record["samples"]] == ["a", "b"]
    assert (record["fps"], record["step"], record["seed"]) == (8.0, 7, 3)
    for entry in record["samples"]:
        frames, fps = read_mp4(out / entry["file"])
        assert frames.shape == (5, 32, 32, 3) and fps == 8.0
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > sheet.height > 0
    expected = {"0000.mp4", "0001.mp4", "contact_sheet.png", "samples.json"}
    assert {path.name for path in out.iterdir()} == expected


def test_samples_that_are_being_written_again_are_not_taken_for_finished(tmp_path):
    write_samples(tmp_path, videos(2), ("a", "b"), fps=8.0)
    broken = [videos(1)[0], Sample(frames_THWC=np.zeros((5, 8, 8), np.uint8))]
    with pytest.raises(ValueError, match="not uint8"):
        write_samples(tmp_path, broken, ("c", "d"), fps=8.0)
    assert not (tmp_path / "samples.json").exists()


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"prompts": ("a", "b"), "labels": (1,)}, "sample.labels has 1 entries for 2"),
        ({"upscale": 0}, "sample.upscale=0"),
        ({"num_steps": 0}, "sample.num_steps=0"),
        ({"boundary": 1.0}, "sample.boundary=1.0 must be in"),
        ({"method": "eulr"}, "did you mean 'euler'"),
        ({"task": "i2", "given": ("a.png",)}, "sample.task='i2' .*'i2v'"),
        ({"task": "i2v"}, "sample.task='i2v' with 0 files"),
        ({"given": ("a.png",)}, "sample.task='t2v' with 1 files"),
        (
            {"prompts": ("a", "b"), "task": "i2v", "given": ("a.png",)},
            "sample.given has 1 files for 2 prompts",
        ),
    ],
)
def test_a_config_that_cannot_sample_is_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        SampleConfig(**fields)


class Damped(nnx.Module):
    """The exact velocity, of every part, if all data were 0."""

    def __init__(self, rngs):
        self.a = nnx.Param(jnp.zeros((1,)))

    def __call__(self, x_t, t_B, **conditions):
        return each(lambda x: x / t_B.reshape(-1, *(1,) * (x.ndim - 1)), x_t)


def test_a_sound_is_sampled_beside_the_frames():
    """Of noise of its own; the frames' noise is that of a sample without sound."""
    seen = []

    def decode(z):
        seen.append(jax.tree.map(jnp.shape, z))
        return each(lambda x: x + 0.5, z)

    network, config = Network.of(Damped), SampleConfig(num_steps=2, guidance=1.0)
    params, seeds = network.init(jax.random.key(0)), jnp.arange(2)
    shapes = {"video": SHAPE, "audio": (7, 5)}
    sample = make_sample_fn(network, config, shapes, decode)
    made = jax.jit(sample)(params, seeds, {}, {})
    assert seen == [{"video": (2, *SHAPE), "audio": (2, 7, 5)}]
    assert made["video"].dtype == jnp.uint8
    np.testing.assert_array_equal(made["video"], round(1.5 * 127.5))
    np.testing.assert_allclose(made["audio"], 0.5, atol=1e-6)


def test_a_sound_is_written_as_a_track(tmp_path):
    frames, sound = videos(1)[0].frames_THWC, np.zeros(10_000, np.float32)
    sample = Sample(frames_THWC=frames, sound_S=sound)
    write_samples(tmp_path, [sample], ("a",), fps=8.0, sound_rate=16000)
    track, rate = read_sound(tmp_path / "0000.mp4")
    assert (len(track) / rate) == pytest.approx(10_000 / 16_000, abs=0.13)
