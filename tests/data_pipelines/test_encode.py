"""A folder becomes a dataset: whole, exact, the same every time, bad videos set aside."""

import hashlib
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines import inspect_source
from data_pipelines.__main__ import main
from data_pipelines.encode import encode
from data_pipelines.inspect_source import inspect
from data_pipelines.pixels import read_clips
from data_pipelines.settings import EncodeSettings
from data_pipelines.sources import find_sources
from data_pipelines.stages import Runner
from data_pipelines.target import WORK
from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import load_dataset
from videogen.data.null_text import load_null_text
from videogen.data.source import open_dataset
from videogen.text.hashed import HashedWords
from videogen.tokenizers.linear import LinearTokenizer

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
BUCKET = "f3_h4_w6"


def settings_for(videos, **changes):
    sizes = dict(num_frames=9, stride=4, height=32, width=48, clips_per_shard=5)
    return EncodeSettings(
        videos=str(videos), text_encoder="hash", **{**sizes, **changes}
    )


def run(videos, out, **changes):
    return encode(settings_for(videos, **changes), str(out), say=lambda line: None)


def hashes(directory):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def clips_of(out, split):
    sources = open_dataset(out).sources(split, captions="v1", text="v1")
    return [source[row] for source in sources for row in range(len(source))]


def latents_of(out, split):
    return [clip.latent for clip in clips_of(out, split)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory, make_video):
    """Two sound videos, one of two shots with a caption each, and three bad ones."""
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "one.mp4", [40, 30])
    spans = [
        {"start_s": 0, "end_s": 40 / 24, "caption": "a white square on red"},
        {"start_s": 40 / 24, "end_s": 4, "caption": "a white square on green"},
    ]
    (folder / "one.json").write_text(json.dumps({"label": 7, "shots": spans}))
    make_video(folder / "two.mkv", [50], fps=48)
    shutil.copy(folder / "one.mp4", folder / "twin.mp4")
    make_video(folder / "short.mp4", [9])
    (folder / "text.mp4").write_text("no film")
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, videos):
    out = tmp_path_factory.mktemp("encoded") / "set"
    run(videos, out)
    return out


def test_bad_videos_are_set_aside_and_counted(dataset):
    lines = (dataset / "quarantine.jsonl").read_text().splitlines()
    found = {item["name"]: item["code"] for item in map(json.loads, lines)}
    assert found == {
        "short.mp4": "TOO_SHORT",
        "text.mp4": "UNREADABLE",
        "twin.mp4": "DUPLICATE",
    }
    counts = load_dataset(dataset).counts
    assert counts["videos"] == 5
    assert counts["quarantined"] == 3
    assert counts["shots"] == 3


def test_rows_are_aligned_and_say_what_they_are(dataset):
    info = load_dataset(dataset)
    null_captions = 0
    for split in ("train", "validation"):
        clips = clips_of(dataset, split)
        assert len(clips) == info.counts[split]
        ids = [clip.latent.id for clip in clips]
        assert len(set(ids)) == len(ids)
        for clip in clips:
            latent = clip.latent
            assert latent.latent_FHWC.shape == (3, 4, 6, 16)
            assert (latent.num_frames, latent.height, latent.width) == (9, 32, 48)
            if clip.caption is None:
                null_captions += 1
                assert latent.label == -1
            else:
                colour = "red" if latent.start_s < 40 / 24 else "green"
                assert clip.caption == f"a white square on {colour}"
                assert latent.label == 7
    assert null_captions == info.counts["null_captions"] > 0


def test_text_is_the_encoder_s_of_the_caption(dataset):
    crc32 = load_dataset(dataset).text["v1"].null_crc32
    null_LD = load_null_text(dataset, "v1", crc32)
    for clip in clips_of(dataset, "train"):
        text_BLD, mask_BL = HashedWords(length=32).encode([clip.caption or ""])
        expected_LD = text_BLD[0, mask_BL[0]]
        np.testing.assert_allclose(clip.text_LD.astype(float), expected_LD, rtol=2**-8)
        if clip.caption is None:
            np.testing.assert_array_equal(expected_LD, null_LD)


def test_no_train_clip_meets_a_held_out_one(dataset):
    train = latents_of(dataset, "train")
    held_out = latents_of(dataset, "validation")
    assert len(held_out) == len({row.source_id for row in held_out}) == 2
    last = {row.source_id: row.start_s for row in held_out}
    assert all(row.start_s + 8 / 24 < last[row.source_id] for row in train)


def test_latents_decode_to_the_pixels(dataset, videos):
    """Within the error of the kept components, and of bfloat16."""
    settings = settings_for(videos)
    tokenizer = LinearTokenizer.load(dataset / load_dataset(dataset).tokenizer.file)
    found = {r.id: r for r in latents_of(dataset, "train")}
    (source,) = (s for s in find_sources(str(videos)) if s.name == "one.mp4")
    clips = [clip for clip in inspect(source, settings).clips if clip.id in found]
    assert clips
    for clip, pixels_THWC in read_clips(clips, settings.height, settings.width):
        latent_FHWC = found[clip.id].latent_FHWC.astype(np.float32)
        exact_FHWC = np.asarray(tokenizer.encode(jnp.asarray(pixels_THWC[None]))[0])
        np.testing.assert_allclose(latent_FHWC, exact_FHWC, rtol=2**-8, atol=1e-6)
        decoded = np.asarray(tokenizer.decode(jnp.asarray(latent_FHWC[None]))[0])
        assert np.sqrt(np.mean((decoded - pixels_THWC) ** 2)) < 0.1


def test_normalised_latents_have_unit_variance(dataset):
    info = load_dataset(dataset).tokenizer
    latents = latents_of(dataset, "train")
    values = np.concatenate([r.latent_FHWC.reshape(-1, 16) for r in latents])
    values = (values.astype(np.float64) - info.mean) / info.std
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-2)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-2)


@pytest.mark.parametrize(
    "arguments",
    [(), ("--direct_num_workers=3", "--direct_running_mode=multi_threading")],
    ids=["again", "three workers"],
)
def test_the_bytes_depend_on_no_schedule(tmp_path, videos, dataset, arguments):
    out = tmp_path / dataset.name
    runner = Runner(arguments=arguments)
    encode(settings_for(videos), str(out), runner=runner, say=lambda line: None)
    assert hashes(out) == hashes(dataset)
    assert not (out / WORK).exists()


def test_a_finished_dataset_is_left_alone(capsys, dataset, videos):
    before = hashes(dataset)
    report = run(videos, dataset)
    assert report.outcome is None
    argv = ["encode", f"--videos={videos}", f"--out={dataset}", "--text-encoder=hash"]
    argv += ["--num-frames=9", "--stride=4", "--height=32", "--width=48"]
    assert main([*argv, "--clips-per-shard=5"]) == 0
    clips = report.info.counts["clips"]
    assert capsys.readouterr().out == f"already encoded: {clips} clips in {dataset}\n"
    assert hashes(dataset) == before


def test_other_arguments_are_named(dataset, videos):
    with pytest.raises(ConfigError, match="--stride=4, not 3.*--overwrite"):
        run(videos, dataset, stride=3)


def test_other_videos_are_noticed(tmp_path, make_video):
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    make_video(folder / "a.mp4", [60])
    run(folder, out)
    (folder / "a.txt").write_text("a square")
    with pytest.raises(ConfigError, match="have changed since"):
        run(folder, out)
    encode(settings_for(folder), str(out), overwrite=True, say=lambda line: None)
    assert load_dataset(out).counts["null_captions"] == 0


def test_an_interrupted_run_starts_over(tmp_path, videos, dataset):
    """Half a dataset without dataset.json is replaced; the result is the same."""
    out = tmp_path / dataset.name
    shutil.copytree(dataset, out)
    (out / "dataset.json").unlink()
    (out / WORK).mkdir()
    (out / BUCKET / "latents-train.array_record-00009-of-00010").write_text("half")
    run(videos, out)
    assert hashes(out) == hashes(dataset)


def test_a_failed_overwrite_loses_nothing(tmp_path, dataset):
    out = tmp_path / dataset.name
    shutil.copytree(dataset, out)
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "bad.mp4").write_text("no film")
    with pytest.raises(DataError, match="none of 1 videos.*bad.mp4: UNREADABLE"):
        encode(settings_for(folder), str(out), overwrite=True, say=lambda line: None)
    assert load_dataset(out) == load_dataset(dataset)


def test_directories_that_cannot_be_used(tmp_path, videos):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        run(videos, file / "out")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("do not lose")
    with pytest.raises(DataError, match="holds files, but no dataset"):
        run(videos, mine)
    with pytest.raises(DataError, match="holds no video"):
        run(mine, tmp_path / "out")
    with pytest.raises(DataError, match="does not exist"):
        run(tmp_path / "nowhere", tmp_path / "out")


def test_nothing_left_to_train_on(tmp_path, make_video):
    make_video(tmp_path / "a.mp4", [14])
    with pytest.raises(DataError, match="no clip is left to train on"):
        run(tmp_path, tmp_path / "out")


def test_slow_and_small_sources_are_set_aside(tmp_path, make_video):
    make_video(tmp_path / "good.mp4", [60])
    make_video(tmp_path / "slow.mp4", [60], fps=10)
    make_video(tmp_path / "small.mp4", [60], height=24, width=96)
    report = run(tmp_path, tmp_path / "out")
    assert report.outcome is not None
    codes = {item.name: item.code for item in report.outcome.plan.rejected}
    assert codes == {"slow.mp4": "LOW_FPS", "small.mp4": "TOO_SMALL"}


def test_a_video_that_crashes_a_library_is_set_aside(tmp_path, make_video, monkeypatch):
    make_video(tmp_path / "good.mp4", [60])
    make_video(tmp_path / "odd.mp4", [61])
    open_video = inspect_source.open_video

    def open_or_crash(path):
        if path.endswith("odd.mp4"):
            raise AssertionError("no such\n  matrix")
        return open_video(path)

    monkeypatch.setattr(inspect_source, "open_video", open_or_crash)
    report = run(tmp_path, tmp_path / "out")
    assert report.outcome is not None
    (rejected,) = report.outcome.plan.rejected
    assert (rejected.name, rejected.code) == ("odd.mp4", "CRASH")
    assert rejected.reason == "AssertionError: no such matrix"


def test_an_interrupt_is_no_verdict_on_a_video(videos, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect_source, "open_video", interrupt)
    source = find_sources(str(videos))[0]
    with pytest.raises(KeyboardInterrupt):
        inspect(source, settings_for(videos))


@pytest.mark.parametrize("stage", ["fit", "encode"])
@pytest.mark.parametrize("change", ["other", "gone"])
def test_a_video_that_changes_during_the_run(tmp_path, make_video, stage, change):
    video, out = tmp_path / "a.mp4", tmp_path / "out"
    make_video(video, [60])

    def say(line):
        if line.startswith(stage):
            video.unlink()
            if change == "other":  # as long and as large, but another scene
                make_video(video, [0, 60])

    with pytest.raises(DataError, match=f"{video} changed during the run: ") as error:
        encode(settings_for(tmp_path), str(out), say=say)
    assert "\n" not in str(error.value)
    assert not (out / "dataset.json").exists()


def test_more_channels_than_a_cuboid_has_pixels(tmp_path, videos):
    with pytest.raises(DataError, match="^channels=193: 1 to 192 would work$"):
        run(videos, tmp_path / "out", channels=193)


def test_an_unknown_runner_is_told(tmp_path, videos):
    with pytest.raises(ConfigError, match="--runner=Nope"):
        encode(settings_for(videos), str(tmp_path / "out"), runner=Runner(name="Nope"))
    assert not (tmp_path / "out").exists()
