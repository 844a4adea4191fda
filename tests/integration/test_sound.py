"""Videos with sound in, videos with sound out: files, shards, both losses, one ODE, mp4."""

import dataclasses
import json

import numpy as np
import pytest
from doors import ROOT, losses

from data_pipelines.__main__ import main
from videogen import build, job
from videogen import run as runs
from videogen.core.errors import ConfigError
from videogen.eval.video import read_mp4, read_sound, write_mp4

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
RATE, FPS, SECONDS, SIZE = 16000, 24, 3, (32, 48)
STEPS = 2


def write_clip(path, speed, hertz):
    """A square that crosses the picture; its speed is the sound's pitch."""
    frames = np.full((FPS * SECONDS, *SIZE, 3), 60, np.uint8)
    for number, frame in enumerate(frames):
        left = speed * number % (SIZE[1] - 12)
        frame[10:22, left : left + 12] = 220
    time_s = np.arange(RATE * SECONDS) / RATE
    tone = (0.5 * np.sin(2 * np.pi * hertz * time_s)).astype(np.float32)
    write_mp4(path, frames, fps=float(FPS), sound_S=tone, sound_rate=RATE)
    path.with_suffix(".txt").write_text(f"a square at speed {speed}")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two videos with sound and their clips' shards."""
    folder = tmp_path_factory.mktemp("heard")
    videos = folder / "videos"
    videos.mkdir()
    for speed, hertz in ((1, 400), (2, 800)):
        write_clip(videos / f"{speed}.mp4", speed, hertz)
    flags = {
        **{"videos": videos, "out": folder / "data", "buckets": "9x32x48"},
        **{"min-seconds": 8 / 24, "max-seconds": 8 / 24, "stride-seconds": 4 / 24},
        **{"where": "", "max-distance": 0, "text-encoder": "hash"},
        **{"audio-rate": RATE, "audio-bands": 200},
    }
    assert main(["all", *(f"--{name}={value}" for name, value in flags.items())]) == 0
    return folder / "data"


def settings(dataset, *extra):
    config = build.load_config(str(ROOT / "configs/veo_style.py"))
    fields = {
        **{"width": 48, "depth": 1, "num_heads": 4, "mlp_width": 96, "text_dim": 384},
        **{"audio_channels": 200, "audio_per_frame": RATE / 200 * 4 / FPS},
        **{"dtype": "float32"},
    }
    overrides = [f"model.{name}={value}" for name, value in fields.items()]
    overrides += [
        *(f"data.path={dataset}", "data.text_encoder=hash", "data.global_batch=4"),
        *(f"train.steps={STEPS}", "train.log_every=1", f"train.sample_every={STEPS}"),
        *(f"train.validate_every={STEPS}", "validation.num_times=2"),
        *("validation.batch_size=4", "optimizer.warmup_steps=1"),
        *("sample.num_steps=2", "sample.prompts=('a square at speed 1',)"),
    ]
    build.override(config, [*overrides, *extra])
    return build.read(config)


@pytest.fixture(scope="module")
def workdir(dataset, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "w"
    assert job.train(settings(dataset), directory) == 0
    return directory


@pytest.mark.slow  # 50 s for the two: a training run, and the step without sound
def test_what_is_sampled_has_sound_of_the_length_of_its_frames(workdir):
    directory = workdir / f"samples/step_{STEPS:06d}"
    (entry,) = json.loads((directory / "samples.json").read_text())["samples"]
    frames, fps = read_mp4(directory / entry["file"])
    sound_S, rate = read_sound(directory / entry["file"])
    assert (frames.shape, fps, rate) == ((9, *SIZE, 3), FPS, RATE)
    assert len(sound_S) / rate == pytest.approx(9 / FPS, abs=2 * 1024 / rate)
    assert sound_S.any()


@pytest.mark.slow
def test_both_losses_are_trained_and_validated(dataset, workdir):
    """At the start each part errs by about the variance of data and noise: 2."""
    first = losses(workdir)[1]
    assert 2.5 < first < 6
    assert 2.5 < losses(workdir, "validation")[0] < 6
    alone = runs.make(settings(dataset, "data.audio_version="))
    assert alone.feed.audio is None
    batch = next(alone.feed.train_batches(0, 1))
    assert "audio_BAC" not in batch
    video = float(alone.step(alone.init(), batch)[1]["loss"])
    assert 1 < video < first - 1


@pytest.mark.parametrize(
    "change, message",
    [
        (
            "model.audio_channels=100",
            "config.model.audio_channels=100, but the audio .* has 200",
        ),
        ("model.audio_per_frame=7.0", r"audio_per_frame=7.0, but .* has 13.3333"),
        ("time.clean_frames=1", "sound has that of its clip; leave both 0"),
        ("data.audio_version=v2", r"audio_version='v2' is not in .* \(it has: v1\)"),
    ],
)
def test_what_does_not_fit_is_named(dataset, change, message):
    with pytest.raises(ConfigError, match=message):
        runs.make(settings(dataset, change))


def test_a_network_without_sound_is_told_so(dataset):
    config = build.load_config(str(ROOT / "configs/quickstart.py"))
    overrides = ("data.text_encoder=hash", "model.patch=(1,2,2)")
    build.override(config, [*overrides, f"data.path={dataset}", "data.global_batch=4"])
    silent = build.read(config)
    data = dataclasses.replace(silent.data, audio_version="v1")
    with pytest.raises(
        ConfigError, match="family='cross' has none; 'sound' would work"
    ):
        runs.make(dataclasses.replace(silent, data=data))
