"""A folder becomes a dataset: whole, exact, the same every time, bad videos set aside."""

import dataclasses
import errno
import hashlib
import json
import pathlib
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from data_pipelines.__main__ import main
from data_pipelines.alone import alone
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.guard import Limits
from data_pipelines.pixels import read_levels
from data_pipelines.plan import make_plan
from data_pipelines.settings import SelectSettings, ShotsSettings
from data_pipelines.stages import Runner
from data_pipelines.tables import Tables
from data_pipelines.units import Engine
from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import load_dataset
from videogen.data.null_text import load_null_text
from videogen.data.source import open_dataset
from videogen.text.hashed import HashedWords
from videogen.tokenizers.levels import pixels_of
from videogen.tokenizers.linear import LinearTokenizer

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
FLAGS = (
    *("--min-seconds=0.3333333333333333", "--max-seconds=0.3333333333333333"),
    *("--stride-seconds=0.16666666666666666", "--where=", "--buckets=9x32x48"),
    *("--text-encoder=hash", "--shard-mib=0.011", "--max-distance=0"),
)


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


def codes(out):
    lines = (out / "quarantine.jsonl").read_text().splitlines()
    return {item["name"]: item["code"] for item in map(json.loads, lines)}


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
def dataset(tmp_path_factory, videos, run_all):
    out = tmp_path_factory.mktemp("encoded") / "set"
    run_all(videos, out)
    return out


def test_bad_videos_are_set_aside_and_counted(dataset):
    lines = (dataset / "quarantine.jsonl").read_text().splitlines()
    found = {
        item["name"]: item["code"]
        for item in map(json.loads, lines)
        if item["phase"] in ("ingest", "shots")
    }
    assert found == {
        "short.mp4": "TOO_SHORT",
        "text.mp4": "UNREADABLE",
        "twin.mp4": "DUPLICATE",
    }
    counts = load_dataset(dataset).counts
    assert counts["videos"] == 5
    assert counts["quarantined"] == len(lines)
    assert counts["shots"] == 3
    assert counts["ingest.UNREADABLE"] == counts["shots.TOO_SHORT"] == 1


def test_the_funnel_adds_up(dataset):
    funnel = json.loads((dataset / "funnel.json").read_text())
    assert [row.pop("phase") for row in funnel] == [
        *("ingest", "shots", "score", "dedup", "select", "encode"),
    ]
    for row in funnel[:1] + funnel[2:]:  # shots are given videos and give clips
        set_aside = sum(n for name, n in row.items() if name not in ("in", "out"))
        assert row["in"] == row["out"] + set_aside
    assert all(a["out"] == b["in"] for a, b in zip(funnel, funnel[1:], strict=False))
    assert funnel[-1]["out"] == load_dataset(dataset).counts["clips"]


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


def test_the_table_says_where_each_clip_is(dataset):
    rows = Tables(dataset / "tables").read("encode")
    for split in ("train", "validation"):
        ids = [row["id"] for row in rows if row["split"] == split]
        assert ids == [row.id for row in latents_of(dataset, split)]


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


def test_latents_decode_to_the_pixels(dataset):
    """Within the error of the kept components, and of bfloat16."""
    tables = Tables(dataset / "tables")
    settings = EncodeSettings(**tables.need("encode").arguments)
    plan = make_plan(tables.read("ingest"), tables.read("shots"), settings)
    tokenizer = LinearTokenizer.load(dataset / load_dataset(dataset).tokenizer.file)
    found = {r.id: r for r in latents_of(dataset, "train")}
    (bucket,) = plan.buckets
    clips = plan.clips("train")
    assert [clip.id for clip in clips] == list(found)
    for clip, levels_THWC in read_levels(clips, bucket.size, settings.fps, Limits()):
        pixels_THWC = np.asarray(pixels_of(levels_THWC))
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


def test_the_bytes_depend_on_no_schedule(tmp_path, videos, dataset, run_all):
    out = tmp_path / dataset.name
    workers = ("--direct_num_workers=8", "--direct_running_mode=multi_threading")
    run_all(videos, out, engine=Engine(runner=Runner(arguments=workers)))
    assert hashes(out) == hashes(dataset)


@pytest.mark.slow  # 40 s: three processes that import Beam and JAX
def test_the_bytes_depend_on_no_process(tmp_path, videos, dataset):
    out = tmp_path / dataset.name
    workers = ("--direct_num_workers=3", "--direct_running_mode=multi_processing")
    argv = ["all", f"--videos={videos}", f"--out={out}", *FLAGS, "--", *workers]
    assert main(argv) == 0
    assert hashes(out) == hashes(dataset)


def test_a_finished_dataset_is_left_alone(capsys, dataset, videos, run_all):
    before = hashes(dataset)
    info, there = run_all(videos, dataset)
    assert there
    assert main(["all", f"--videos={videos}", f"--out={dataset}", *FLAGS]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "encode: there already" in printed
    assert printed[-1].startswith(f"already encoded: {info.counts['clips']} clips in ")
    assert hashes(dataset) == before


def test_one_process_at_a_time(tmp_path, dataset, videos, run_all):
    """Whoever adds to a dataset keeps its files; and a finished one is not swept."""
    out = tmp_path / dataset.name
    shutil.copytree(dataset, out)
    half = out / "f3_h4_w6" / ".text-v2-train.abcdef01"
    half.write_text("of add-text")
    for directory, command in (
        (out, ["encode", f"--out={out}", *FLAGS[4:-1], "--overwrite"]),
        (out, ["finalise", f"--out={out}"]),
        (out / "tables", ["dedup", f"--tables={out / 'tables'}", FLAGS[-1]]),
    ):
        with alone(directory):
            assert main(command) == 43
            with pytest.raises(ConfigError, match="by another process"):
                run_all(videos, out)
    assert main(command) == 0
    assert run_all(videos, out)[1]
    assert half.exists()


def test_other_arguments_are_named(dataset, videos, run_all):
    shots = ShotsSettings(max_seconds=8 / 24, min_seconds=0.2)
    with pytest.raises(ConfigError, match="shots.parquet.*--min-seconds=.*--overwrite"):
        run_all(videos, dataset, shots=shots)
    encode = EncodeSettings(buckets="9x32x48", text_encoder="hash", fps=12)
    with pytest.raises(ConfigError, match="encode.parquet.*--fps=24.0, not 12"):
        run_all(videos, dataset, encode=encode)


def test_the_same_tables_serve_another_dataset(tmp_path, dataset, capsys):
    """Thresholds come late: another choice of clips decodes nothing but them."""
    tables, out = tmp_path / "tables", tmp_path / "out"
    shutil.copytree(dataset / "tables", tables)
    where = "--where=fps > 30"
    assert main(["select", f"--tables={tables}", where]) == 43
    assert main(["select", f"--tables={tables}", where, "--overwrite"]) == 0
    encode = ["encode", f"--tables={tables}", f"--out={out}", *FLAGS[4:-1]]
    assert main(encode) == 0
    assert main(["finalise", f"--tables={tables}", f"--out={out}"]) == 0
    counts = load_dataset(out).counts
    assert counts["select.LOW_SCORE"] > 0
    assert counts["clips"] < load_dataset(dataset).counts["clips"]
    assert main(["select", f"--tables={tables}", "--where=", "--overwrite"]) == 0
    assert main(["finalise", f"--tables={tables}", f"--out={out}"]) == 43
    assert "encoded from other tables" in capsys.readouterr().err


def test_a_scorer_s_file_is_an_argument(tmp_path, dataset, capsys):
    tables, file = tmp_path / "tables", tmp_path / "toy.py"
    shutil.copytree(dataset / "tables", tables)
    file.write_text("def make():\n    return lambda images: 1.0\n")
    command = ["score", f"--tables={tables}", f"--scorers=one={file}:make"]
    assert main([*command, "--overwrite"]) == 0
    assert main(command) == 0
    file.write_text("def make():\n    return lambda images: 2.0\n")
    assert main(command) == 43
    assert (
        "score.parquet was made with other files of --scorers="
        in capsys.readouterr().err
    )


def test_a_phase_without_its_tables_says_which_comes_first(tmp_path, capsys):
    assert main(["score", f"--tables={tmp_path}"]) == 43
    assert "python -m data_pipelines ingest` first" in capsys.readouterr().err


def test_other_videos_are_noticed(tmp_path, make_video, run_all):
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    make_video(folder / "a.mp4", [60])
    run_all(folder, out)
    (folder / "a.txt").write_text("a square")
    with pytest.raises(ConfigError, match="other videos or captions in"):
        run_all(folder, out)
    run_all(folder, out, overwrite=True)
    assert load_dataset(out).counts["null_captions"] == 0


def test_a_table_edited_by_hand_is_noticed(tmp_path, dataset, videos, run_all):
    out = tmp_path / dataset.name
    shutil.copytree(dataset, out)
    path = out / "tables" / "shots.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (out / "tables" / "score.json").unlink()
    with pytest.raises(DataError, match="shots.parquet: changed since shots wrote it"):
        run_all(videos, out)


def test_overwriting_all_goes_on_where_it_was_killed(
    tmp_path, dataset, videos, run_all
):
    """Tables of these very settings stay, and so do parts; the others go."""
    out = tmp_path / dataset.name
    shutil.copytree(dataset, out)
    lines: list[str] = []

    def killed(line):
        lines.append(line)
        if line == "encode:":
            raise KeyboardInterrupt

    select = SelectSettings(where="fps > 30")
    with pytest.raises(KeyboardInterrupt):
        run_all(videos, out, overwrite=True, select=select, say=killed)
    expected = [
        f"{name}: there already" for name in ("ingest", "shots", "score", "dedup")
    ]
    assert lines[:4] == expected and lines[4] == "select:"
    lines.clear()
    run_all(videos, out, overwrite=True, select=select, say=lines.append)
    assert lines[:6] == [*expected, "select: there already", "encode:"]
    assert load_dataset(out).counts["select.LOW_SCORE"] > 0


def test_a_failed_overwrite_loses_nothing(tmp_path, dataset, run_all):
    out = tmp_path / dataset.name
    shutil.copytree(dataset, out)
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "bad.mp4").write_text("no film")
    with pytest.raises(DataError, match="no clip is left.*bad.mp4: UNREADABLE"):
        run_all(folder, out, overwrite=True)
    assert load_dataset(out) == load_dataset(dataset)
    assert len(latents_of(out, "train")) > 0


def test_directories_that_cannot_be_used(tmp_path, videos, run_all):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        run_all(videos, file / "out")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.doc").write_text("do not lose")
    with pytest.raises(DataError, match="holds files, but no dataset"):
        run_all(videos, mine)
    with pytest.raises(DataError, match="holds no video"):
        run_all(mine, tmp_path / "out")
    with pytest.raises(DataError, match="does not exist"):
        run_all(tmp_path / "nowhere", tmp_path / "out")


def test_a_full_disk_is_one_line(tmp_path, videos, monkeypatch, run_all):
    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(DataError, match="cannot be written: No space left") as error:
        run_all(videos, tmp_path / "out")
    assert "\n" not in str(error.value)


def test_nothing_left_to_train_on(tmp_path, make_video, run_all):
    make_video(tmp_path / "a.mp4", [14])
    with pytest.raises(DataError, match="no clip is left to train on"):
        run_all(tmp_path, tmp_path / "out")


def test_clips_go_to_the_bucket_that_they_fill(tmp_path, make_video, run_all):
    make_video(tmp_path / "wide.mp4", [30, 40])
    make_video(tmp_path / "high.mp4", [0, 0, 60], height=96, width=64)
    make_video(tmp_path / "small.mp4", [60], height=24, width=96)
    make_video(tmp_path / "slow.mp4", [0, 0, 0, 60], fps=10)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 56, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "still.png")
    encode = EncodeSettings(
        buckets="9x32x48,9x48x32,1x32x48,1x64x64", text_encoder="hash"
    )
    out = tmp_path / "out"
    run_all(tmp_path, out, encode=encode)
    dataset = open_dataset(out)
    assert list(dataset.manifests) == ["f3_h4_w6", "f3_h6_w4", "f1_h4_w6"]
    (still,) = clips_of_bucket(dataset, "f1_h4_w6")
    assert (still.latent.num_frames, still.latent.latent_FHWC.shape[0]) == (1, 1)
    rows = {r["id"]: r["bucket"] for r in Tables(out / "tables").read("encode")}
    clips = Tables(out / "tables").read("shots")
    by_height = {c["height"]: rows[c["id"]] for c in clips if c["id"] in rows}
    assert by_height == {64: "f3_h4_w6", 96: "f3_h6_w4", 40: "f1_h4_w6"}
    assert codes(out)["small.mp4"] == "TOO_SMALL"
    assert codes(out)["slow.mp4"] == "LOW_FPS"


def clips_of_bucket(dataset, name):
    (source,) = (s for s in dataset.sources("train") if s.bucket.name == name)
    return [source[row] for row in range(len(source))]


def test_conditions_set_clips_aside_by_code(tmp_path, make_video, run_all):
    make_video(tmp_path / "a.mp4", [60, 60])
    where = "bits_per_pixel < 100 and luma < 100"
    out = tmp_path / "out"
    run_all(tmp_path, out, select=SelectSettings(where=where))
    counts = load_dataset(out).counts
    assert counts["select.OVEREXPOSED"] > 0  # the green one
    assert counts["select.out"] + counts["select.OVEREXPOSED"] == counts["select.in"]


@pytest.mark.parametrize("change", ["other", "gone"])
def test_a_video_that_changes_during_the_run(tmp_path, make_video, run_all, change):
    video, out = tmp_path / "a.mp4", tmp_path / "out"
    make_video(video, [60])

    def say(line):
        if line.startswith("encode"):
            video.unlink()
            if change == "other":  # as long and as large, but another scene
                make_video(video, [0, 60])

    told = "changed during the run: " if change == "other" else "No such file.* goes on"
    with pytest.raises(DataError, match=f"{video}:? .*{told}") as error:
        run_all(tmp_path, out, say=say)
    assert "\n" not in str(error.value)
    assert not (out / "dataset.json").exists()


def test_more_channels_than_a_cuboid_has_pixels(tmp_path, videos, run_all):
    encode = EncodeSettings(buckets="9x32x48", text_encoder="hash", channels=193)
    with pytest.raises(DataError, match="^channels=193: 1 to 192 would work$"):
        run_all(videos, tmp_path / "out", encode=encode)


def test_an_unknown_runner_is_told(tmp_path, videos, run_all):
    engine = Engine(runner=Runner(name="Nope"))
    with pytest.raises(ConfigError, match="--runner=Nope"):
        run_all(videos, tmp_path / "out", engine=engine)


def test_an_interrupted_encoding_goes_on(tmp_path, videos, dataset, run_all):
    """Half a dataset, one part done and one shard gone: the result is the same."""
    out = tmp_path / dataset.name
    shutil.copytree(dataset, out)
    for name in ("dataset.json", "tables/encode.json", "tables/score.json"):
        (out / name).unlink()
    (out / "f3_h4_w6" / ".latents-train.abcdef01").write_text("half")
    (out / "tables" / "parts" / "score-00000000").mkdir(parents=True)
    run_all(videos, out)
    assert hashes(out) == hashes(dataset)


def test_two_datasets_of_one_tokenizer_can_be_mixed(dataset, videos, tmp_path, run_all):
    """The second takes the first's, to the bit, and says so of a wrong kind."""
    settings = EncodeSettings(
        buckets="9x32x48", text_encoder="hash", tokenizer_from=str(dataset)
    )
    info, _ = run_all(videos, tmp_path / "second", encode=settings)
    assert info.tokenizer.fingerprint == load_dataset(dataset).tokenizer.fingerprint
    wrong = dataclasses.replace(settings, channels=7)
    with pytest.raises(ConfigError, match="--channels=16 would work"):
        run_all(videos, tmp_path / "third", encode=wrong)
