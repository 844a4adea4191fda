"""Image to video with an image encoder, from videos to samples (Wan2.1 I2V, made tiny)."""

import shutil

import numpy as np
import pytest
from doors import ROOT, overrides
from image_folders import write_vision
from PIL import Image

from data_pipelines.add_image import add_image
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.image_settings import ImageSettings
from data_pipelines.phases import Run
from data_pipelines.settings import (
    DedupSettings,
    IngestSettings,
    ScoreSettings,
    SelectSettings,
    ShotsSettings,
)
from data_pipelines.synthetic import wave_clip
from data_pipelines.tables import Tables
from videogen import build, job, run
from videogen.core.errors import ConfigError
from videogen.data.source import open_dataset
from videogen.eval.validation_loss import validate
from videogen.eval.video import write_mp4
from videogen.image import make_encoder

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
CONFIG = str(ROOT / "configs/quickstart.py")
MODEL = ("model.image_dim=16", "model.given_channels=20")
I2V = ("tasks={'t2v': 0.0, 'i2v': 1.0}",)
JOINT = {
    **{"family": "joint", "text_dim": 384, "width": 48, "depth": 1, "num_heads": 4},
    **{"mlp_width": 48, "image_dim": 16, "given_channels": 17},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(dataset without image tokens, the same with them, encoder's name, first frames)."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "videos").mkdir()
    for index in range(2):
        pixels_THWC, caption, _ = wave_clip((6, 4, 6, 16), 0, index)
        levels = np.rint((pixels_THWC + 1) * 127.5).astype(np.uint8)
        write_mp4(folder / "videos" / f"{index}.mp4", levels, fps=24.0)
        (folder / "videos" / f"{index}.txt").write_text(caption)
        Image.fromarray(levels[0]).save(folder / f"{index}.png")
    plain = folder / "plain"
    Run(tables=Tables(plain / "tables"), out=plain, say=lambda line: None).all(
        {
            "ingest": IngestSettings(videos=str(folder / "videos")),
            "shots": ShotsSettings(
                shot_threshold=80.0,
                min_seconds=4 / 24,
                max_seconds=4 / 24,
                stride_seconds=1 / 24,
            ),
            "score": ScoreSettings(),
            "dedup": DedupSettings(max_distance=0),
            "select": SelectSettings(where=""),
            "encode": EncodeSettings(buckets="5x32x48", text_encoder="hash"),
        }
    )
    write_vision(folder / "clip")
    name = f"clip:{folder / 'clip'}"
    told = shutil.copytree(plain, folder / "told")
    add_image(ImageSettings(dataset=str(told), image_encoder=name))
    files = tuple(str(folder / f"{index}.png") for index in range(2))
    return plain, told, name, files


def settings(dataset, *extra, model=None):
    config = build.load_config(CONFIG)
    fields = overrides(dataset, "data.text_encoder=hash", "sample.num_steps=1", *extra)
    if model:
        config.model = model
        fields = [x for x in fields if not x.startswith("model.")]
    build.override(config, fields)
    return build.read(config)


def given(made):
    return (
        f"data.image_encoder={made[2]}",
        "sample.task='i2v'",
        f"sample.given={made[3]}",
    )


def test_wan_trains_validates_and_samples(made):
    parts = run.make(settings(made[1], *MODEL, *I2V, *given(made)))
    assert parts.feed.identity["image"].startswith("clip ")
    batch = next(parts.feed.train_batches(0))
    assert batch["image_BLX"].shape == (8, 5, 16)
    assert np.asarray(batch["image_BLX"]).any(axis=(1, 2)).all()
    state = parts.init()
    found = validate(state, parts.feed.validation_batches(), parts.batch_loss)
    assert np.isfinite(list(found.values())).all()
    new, metrics = parts.step(state, batch)
    assert np.isfinite(metrics["loss"]) and int(metrics["skipped"]) == 0
    told, null = run.sample_conditions(parts)
    frames = [np.asarray(Image.open(file)) for file in made[3]]
    want = make_encoder(made[2]).encode(frames)
    for conditions in (told, null):  # as the release's pipeline does
        np.testing.assert_allclose(
            conditions["image_BLX"].astype(np.float32), want, rtol=2**-7, atol=1e-2
        )
        assert conditions["given_BFHWC"][:, 0].any()
    samples = run.sample(parts, new.weights)
    assert [sample.frames_THWC.shape for sample in samples] == [(5, 32, 48, 3)] * 2


def test_the_tokens_are_those_of_the_batch_s_clips(made):
    parts = run.make(settings(made[1], *MODEL, *I2V))
    (source,) = open_dataset(made[1]).sources("train", image="v1")
    by_latent = {
        source[row].latent.latent_FHWC.tobytes(): source[row].image_LD
        for row in range(len(source))
    }
    batch = next(parts.feed.train_batches(0))
    for latent, image_LD in zip(
        np.asarray(batch["latent_BFHWC"]), np.asarray(batch["image_BLX"]), strict=True
    ):
        np.testing.assert_array_equal(image_LD, by_latent[latent.tobytes()])


def test_a_network_of_both_tasks_is_told_no_image_without_a_frame(made):
    """HunyuanVideo 1.5: zeros, or nothing, are no image."""
    both = "tasks={'t2v': 1.0, 'i2v': 1.0, 'mask_first': False}"
    parts = run.make(settings(made[1], both, *given(made), model=JOINT))
    assert "image_BLX" in next(parts.feed.train_batches(0))
    assert "image_BLX" in run.sample_conditions(parts)[1]
    plain = run.make(settings(made[1], both, model=JOINT))
    assert "image_BLX" not in run.sample_conditions(plain)[0]
    alone = run.make(settings(made[0], model=JOINT))  # text to video alone
    assert "image_BLX" not in next(alone.feed.train_batches(0))


@pytest.mark.parametrize(
    "fields, said",
    [
        (
            (*MODEL, *I2V),
            "add-image .*plain --version=v1 --image-encoder=KIND:FOLDER` makes",
        ),
        ((*MODEL, *I2V, "data.row_tokens=64"), "cannot be packed: data.row_tokens=0"),
    ],
)
def test_a_dataset_without_tokens_says_how_they_are_made(made, fields, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        job.train(settings(made[0], *fields), tmp_path / "w")
    assert [path.name for path in (tmp_path / "w").iterdir()] == [".lock"]


@pytest.mark.parametrize(
    "fields, said",
    [
        ((*MODEL, *I2V, "data.image_version=b"), r"called b \(it has: v1\)"),
        ((*MODEL, *I2V, "model.image_dim=8"), "but image v1 of .* has dim 16"),
        (
            (*MODEL, "tasks={'i2v': 1.0}"),
            "always told of the first frame, and .*t2v=1.0",
        ),
        (
            (*MODEL, *I2V, "data.image_encoder=siglip:/x"),
            "'siglip', but .* with 'clip'",
        ),
        ((*MODEL, *I2V, "data.image_encoder=clip"), "'clip:/path/of/it' would work"),
    ],
)
def test_what_cannot_be_is_said(made, fields, said):
    with pytest.raises(ConfigError, match=said):
        run.make(settings(made[1], *fields))


def test_samples_need_a_frame_and_the_dataset_s_encoder(made, tmp_path):
    def conditions(*fields):
        return run.sample_conditions(run.make(settings(made[1], *MODEL, *I2V, *fields)))

    _, task, files = given(made)
    with pytest.raises(ConfigError, match="sample.task='t2v' gives no first frame, "):
        conditions()
    with pytest.raises(
        ConfigError, match="--config.data.image_encoder=clip:/path/of/it"
    ):
        conditions(task, files)
    write_vision(tmp_path / "other", num_hidden_layers=3)
    with pytest.raises(ConfigError, match="image encoder clip here .* is not the one"):
        conditions(task, files, f"data.image_encoder=clip:{tmp_path / 'other'}")
