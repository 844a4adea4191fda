"""Samples with given frames, from files to frames, through the parts that a door uses."""

import jax
import numpy as np
import pytest
from doors import ROOT, overrides
from PIL import Image

from data_pipelines.synthetic import wave_clip
from videogen import build, job, run, trainer
from videogen.core.errors import ConfigError
from videogen.eval.validation_loss import validate
from videogen.tokenizers.base import denormalise

CONFIG = str(ROOT / "configs/quickstart.py")
SHAPE = (3, 4, 4, 16)  # of the tiny dataset's latents


def settings(dataset, *extra):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, "sample.num_steps=1", *extra))
    return build.read(config)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The first frames of two clips; the clips."""
    directory = tmp_path_factory.mktemp("images")
    clips = [wave_clip(SHAPE, 0, index)[0] for index in range(2)]
    for i, clip in enumerate(clips):
        levels = np.rint((clip[0] + 1) * 127.5).astype(np.uint8)
        Image.fromarray(levels).save(directory / f"{i}.png")
    return tuple(str(directory / f"{i}.png") for i in range(2)), np.stack(clips)


def coded(parts, clips_BTHWC):
    """What a dataset holds of the clips, decoded again."""
    latent = parts.feed.tokenizer.encode(jax.numpy.asarray(clips_BTHWC))
    pixels = parts.feed.tokenizer.decode(latent.astype("bfloat16").astype("float32"))
    return np.rint((np.clip(pixels, -1, 1) + 1) * 127.5)


def test_a_first_frame_that_is_kept_clean_is_in_the_samples(dataset, images):
    files, clips = images
    given = {"task": "i2v", "given": files}
    fields = (f"sample.{name}={value!r}" for name, value in given.items())
    parts = run.make(settings(dataset, "tasks={'i2v': 1.0, 'how': 'clean'}", *fields))
    samples = run.sample(parts, parts.init().weights)
    frames = np.stack([sample.frames_THWC for sample in samples])
    want = coded(parts, clips)
    np.testing.assert_allclose(frames[:, 0], want[:, 0], atol=1)
    assert np.abs(frames[:, 1:] - want[:, 1:]).mean() > 10  # nothing is learnt yet


def test_channels_stand_beside_the_latent_of_both_passes(dataset, images):
    files, clips = images
    fields = ("tasks={'i2v': 1.0}", "model.given_channels=17", "sample.task='i2v'")
    parts = run.make(settings(dataset, *fields, f"sample.given={files!r}"))
    for told in run.sample_conditions(parts):
        given_BFHWC = told["given_BFHWC"]
        assert given_BFHWC.shape == (2, 3, 4, 4, 17) and not given_BFHWC[:, 1:].any()
        assert (given_BFHWC[:, 0, ..., 0] == 1).all()
        tokenizer = parts.feed.tokenizer
        z = jax.numpy.asarray(given_BFHWC[..., 1:])
        decoded = tokenizer.decode(denormalise(z, tokenizer.mean_C, tokenizer.std_C))[
            :, 0
        ]
        decoded = np.rint((np.clip(decoded, -1, 1) + 1) * 127.5)
        np.testing.assert_allclose(decoded, coded(parts, clips)[:, 0], atol=1)


def test_a_file_that_is_missing_is_named_before_training(dataset, tmp_path):
    fields = ("tasks={'i2v': 1.0}", "model.given_channels=17", "train.sample_every=9")
    fields += ("sample.task='i2v'", "sample.given=('a.png', 'nowhere/b.png')")
    with pytest.raises(ConfigError, match="config.sample.given: a.png: No such file"):
        job.train(settings(dataset, *fields), tmp_path / "w")
    assert [path.name for path in (tmp_path / "w").iterdir()] == [".lock"]


def test_a_family_of_one_time_per_clip_keeps_nothing_clean(dataset):
    fields = ("sample.task='i2v'", "sample.given=('a.png', 'b.png')")
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, "tasks={'how': 'clean'}", *fields))
    sizes = {"width": 48, "depth": 1, "num_heads": 4, "mlp_width": 48}
    config.model = {"family": "joint", "text_dim": 384, **sizes}
    with pytest.raises(ConfigError, match="sample.task='i2v' gives .* one per clip"):
        run.make(build.read(config))


def test_frames_that_are_kept_clean_are_marked_in_both_passes(dataset, images):
    """For Cosmos, whose network is told by a channel which they are."""
    files, _ = images
    sizes = {"width": 32, "depth": 1, "num_heads": 2, "mlp_width": 64, "lora_rank": 4}
    model = sizes | {"family": "cosmos", "freq_dim": 32, "given_channels": 2}
    config = build.load_config(CONFIG)
    config.model = model | {"text_dim": 384}
    fields = (
        "time={'clean_frames': 1}",
        "sample.task='i2v'",
        f"sample.given={files!r}",
    )
    tiny = [x for x in overrides(dataset, *fields) if not x.startswith("model.")]
    build.override(config, tiny)
    parts = run.make(build.read(config))
    built = trainer.make(parts.settings, parts.mesh, parts.feed.tokenizer)
    assert built.objective.marks_given
    for told in run.sample_conditions(parts):
        mask_BFHWC = np.zeros((2, *SHAPE[:3], 2))
        mask_BFHWC[:, 0, ..., 0] = 1
        np.testing.assert_array_equal(told["given_BFHWC"], mask_BFHWC)
        np.testing.assert_array_equal(told["given_BF"], mask_BFHWC[:, :, 0, 0, 0])


CLEAN_FIRST = {
    **{"family": "joint", "text_dim": 384, "width": 48, "depth": 1, "num_heads": 4},
    **{"mlp_width": 48, "clean_first_frame": True},
}
ONLY_I2V = "tasks={'t2v': 0.0, 'i2v': 1.0, 'how': 'clean'}"


def clean_first(dataset, *fields):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, "sample.num_steps=1", *fields))
    config.model = CLEAN_FIRST
    return build.read(config)


def test_a_network_of_clean_first_frames_trains_validates_and_samples(dataset, images):
    """HunyuanVideo-I2V."""
    files, clips = images
    given = ("sample.task='i2v'", f"sample.given={files!r}")
    parts = run.make(clean_first(dataset, ONLY_I2V, *given))
    state = parts.init()
    found = validate(state, parts.feed.validation_batches(), parts.batch_loss)
    assert np.isfinite(list(found.values())).all()
    batch = next(parts.feed.train_batches(0))
    new, metrics = parts.step(state, batch)
    assert np.isfinite(metrics["loss"]) and int(metrics["skipped"]) == 0
    samples = run.sample(parts, new.weights)
    frames = np.stack([sample.frames_THWC for sample in samples])
    np.testing.assert_allclose(frames[:, 0], coded(parts, clips)[:, 0], atol=1)


@pytest.mark.parametrize("tasks", ["tasks={}", "tasks={'i2v': 1.0, 'how': 'clean'}"])
def test_it_is_trained_for_nothing_else(dataset, tasks):
    with pytest.raises(ConfigError, match="clean_first_frame=True takes the first"):
        run.make(clean_first(dataset, tasks))
