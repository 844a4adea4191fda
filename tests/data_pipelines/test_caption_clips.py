"""Captions by a model while a dataset is made: of what stays, asked once, beside the given."""

import base64
import hashlib
import io
import json
import shutil

import numpy as np
import pytest
from fake_endpoint import MODEL, images, said
from PIL import Image

from data_pipelines import guard
from data_pipelines.__main__ import main
from data_pipelines.captioning.clip_settings import ClipCaptionSettings
from data_pipelines.captioning.instructions import instructions_sha256
from data_pipelines.guard import Child
from data_pipelines.phases import Run
from data_pipelines.tables import Result, Tables
from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import load_dataset
from videogen.data.records import parse_caption
from videogen.data.source import open_dataset
from videogen.text.hashed import HashedWords

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
FLAGS = (
    *("--min-seconds=0.3333333333333333", "--max-seconds=0.3333333333333333"),
    *("--stride-seconds=0.16666666666666666", "--where=", "--buckets=9x32x48"),
    *("--text-encoder=hash", "--shard-mib=0.011", "--max-distance=0"),
)
COLOURS = {"red": 0, "green": 1}


@pytest.fixture(scope="module")
def videos(tmp_path_factory, make_video):
    """Two shots, red and green, of which the second has a caption; and one of no caption."""
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "one.mp4", [30, 30])
    spans = [{"start_s": 30 / 24, "end_s": 4, "caption": "it was given"}]
    (folder / "one.json").write_text(json.dumps({"label": 7, "shots": spans}))
    make_video(folder / "two.mp4", [24])
    return folder


@pytest.fixture(scope="module")
def selected(tmp_path_factory, videos):
    """The tables up to select."""
    tables = tmp_path_factory.mktemp("tables")
    shots = [flag for flag in FLAGS if "seconds" in flag]
    for command in (
        *(["ingest", f"--videos={videos}"], ["shots", *shots], ["score"]),
        *(["dedup", "--max-distance=0"], ["select", "--where="]),
    ):
        assert main([*command, f"--tables={tables}"]) == 0
    return tables


@pytest.fixture
def out(tmp_path, selected):
    """A dataset whose clips are selected."""
    shutil.copytree(selected, tmp_path / "set" / "tables")
    return tmp_path / "set"


@pytest.fixture
def settings(fake):
    """settings(...): of a phase that asks the endpoint."""

    def settings(**changes):
        known = {"captioner": fake.url, "caption_model": MODEL, "caption_threads": 1}
        return {"caption-clips": ClipCaptionSettings(**{**known, **changes})}

    return settings


def pictures(body):
    for url in images(body):
        content = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
        yield np.asarray(Image.open(io.BytesIO(content)), np.float32)


def by_colour(body, number=0):
    """What the first picture's most frequent colour is; and which question it was."""
    first = next(pictures(body))
    name = min(COLOURS, key=lambda name: -np.median(first[..., COLOURS[name]]))
    mark = hashlib.sha256(images(body)[0].encode()).hexdigest()[:6]
    return said(f"{name} {mark}")


def clips_of(out, version):
    opened = open_dataset(out)
    sources = [
        source
        for split in ("train", "validation")
        for source in opened.sources(split, captions=version, text=version)
    ]
    return [source[row] for source in sources for row in range(len(source))]


def test_the_model_s_captions_are_those_of_the_dataset(
    out, videos, fake, run_all, settings
):
    fake.answer = by_colour
    info, _ = run_all(videos, out, **settings())
    assert info.captions == ("v1", "v2") and info.text.keys() == {"v1", "v2"}
    assert info.counts["null_captions"] == 0
    written, given = clips_of(out, "v1"), clips_of(out, "v2")
    assert [c.latent.id for c in written] == [c.latent.id for c in given]
    for clip, other in zip(written, given, strict=True):
        is_green = clip.latent.label == 7 and clip.latent.start_s > 1.2
        assert clip.caption.startswith("green" if is_green else "red")
        assert other.caption == ("it was given" if is_green else None)
        for found in (clip, other):
            text_BLD, mask_BL = HashedWords(length=32).encode([found.caption or ""])
            np.testing.assert_allclose(
                found.text_LD.astype(np.float32), text_BLD[0][mask_BL[0]], rtol=1e-2
            )
    assert info.captioners.keys() == {"v1"}
    made_by = info.captioners["v1"]
    assert (made_by.model, made_by.kind, made_by.nulls) == (MODEL, "dense", {})
    assert made_by.origin == instructions_sha256("dense")
    rows = {row["id"]: row for row in Tables(out / "tables").read("caption-clips")}
    assert all(rows[clip.latent.id]["caption"] == clip.caption for clip in written)
    for version, model in (("v1", MODEL), ("v2", "")):
        source = open_dataset(out).sources("train", captions=version)[0]
        assert parse_caption(source._captions[0]).model == model


def test_the_table(out, fake, settings):
    fake.answer = by_colour
    tables = Tables(out / "tables")
    asking = settings(caption_frames=3, caption_kind="short")["caption-clips"]
    Run(tables=tables, say=lambda line: None).phase("caption-clips", asking)
    rows = {row["id"]: row for row in tables.read("caption-clips")}
    stay = {row["id"] for row in tables.read("select") if row["code"] is None}
    assert rows.keys() == stay
    assert len(fake.asked) == len(rows)
    for row in rows.values():
        assert (row["model"], row["kind"], row["reason"]) == (MODEL, "short", None)
    assert {len(images(body)) for body in fake.asked} == {3}
    for body in fake.asked:  # the square moves to the right, in order of time
        lefts = [(p.min(-1) > 200).any(0).argmax() for p in pictures(body)]
        assert all(image.shape == (64, 96, 3) for image in pictures(body))
        assert sorted(lefts) == lefts or max(lefts) > 70  # but for when it starts again


def test_a_second_run_asks_nobody(out, videos, fake, run_all, settings):
    said_lines = []
    run_all(videos, out, **settings())
    asked = len(fake.asked)
    elsewhere = settings(captioner="http://127.0.0.1:9/v1", caption_threads=3)
    _, there = run_all(videos, out, say=said_lines.append, **elsewhere)
    assert there and "caption-clips: there already" in said_lines
    with pytest.raises(
        ConfigError, match="a table of caption-clips, which is left out"
    ):
        run_all(videos, out)
    assert len(fake.asked) == asked and load_dataset(out).captions == ("v1", "v2")
    with pytest.raises(ConfigError, match="made with --caption-kind=dense, not short"):
        run_all(videos, out, **settings(caption_kind="short"))
    first = settings(primary_captions="given")
    info, there = run_all(videos, out, overwrite=True, **first)
    assert not there and info.captioners.keys() == {"v2"} and len(fake.asked) == asked
    assert {c.caption for c in clips_of(out, "v1")} == {None, "it was given"}
    assert {c.caption for c in clips_of(out, "v2")} == {"a caption"}
    assert info.counts["null_captions"] > 0


def test_without_a_captioner_all_leaves_an_older_table_out(out, videos, fake, run_all):
    said_lines, tables = [], Tables(out / "tables")
    write_stale(tables)
    info, _ = run_all(videos, out, say=said_lines.append)
    assert info.captions == ("v1",) and not info.captioners and not fake.asked
    assert {c.caption for c in clips_of(out, "v1")} == {None, "it was given"}
    assert any(
        line.startswith("caption-clips: a table is there") for line in said_lines
    )
    assert (
        "caption-clips"
        not in json.loads((out / "funnel.json").read_text())[-2].values()
    )
    assert tables.receipt("caption-clips") is not None  # what was paid for is kept
    assert run_all(videos, out)[1]


def write_stale(tables):
    """A table of caption-clips that was made of other clips than are selected now."""
    columns = {"id": str}
    result = Result(columns=columns, rows=[], rejected=[], given=0)
    tables.write("caption-clips", result, {}, {"select": "another"})


def test_a_run_that_failed_leaves_no_child(out, fake, settings, monkeypatch):
    started, start = [], Child.start

    def note(limits):
        started.append(start(limits))
        return started[-1]

    monkeypatch.setattr(Child, "start", note)
    guard.end_idle()
    fake.answer = lambda body, n: (400, {}, b"no")
    with pytest.raises(DataError) as caught:
        Run(tables=Tables(out / "tables")).phase("caption-clips", *settings().values())
    idle = [child for children in guard._idle.values() for child in children]
    assert started and caught.traceback  # which holds what was not closed
    assert all(child in idle or child.process.poll() is not None for child in started)


def test_a_run_that_failed_goes_on(out, selected, tmp_path, fake, settings):
    (asking,) = settings().values()
    run = Run(tables=Tables(out / "tables"), say=lambda line: None)
    fake.answer = lambda body, n: by_colour(body) if n < 5 else (400, {}, b"no")
    with pytest.raises(DataError, match="HTTP_400.*answers are kept"):
        run.phase("caption-clips", asking)
    assert run.tables.receipt("caption-clips") is None
    fake.answer, paid = by_colour, len(fake.answered)
    receipt = run.phase("caption-clips", asking)
    assert paid >= 5 and len(fake.answered) == receipt.counts["out"]
    whole = Tables(shutil.copytree(selected, tmp_path / "whole"))
    again = Run(tables=whole, say=run.say).phase("caption-clips", asking)
    assert again.sha256 == receipt.sha256


def test_a_clip_without_a_caption_says_why(out, videos, fake, run_all, settings):
    fake.answer = lambda body, n: said(" ") if n == 0 else by_colour(body)
    with pytest.raises(DataError, match="1 of .* clips have no caption .1 EMPTY."):
        run_all(videos, out, **settings())
    assert main([*command(videos, out, fake), "--max-failures=0.2"]) == 0
    info = load_dataset(out)
    assert info.captioners["v1"].nulls == {"EMPTY": 1}
    rows = Tables(out / "tables").read("caption-clips")
    assert [row["reason"] for row in rows if row["caption"] is None] == ["EMPTY"]


def command(videos, out, fake):
    ours = f"--captioner={fake.url}", f"--caption-model={MODEL}", "--caption-threads=1"
    return ["all", f"--videos={videos}", f"--out={out}", *FLAGS, *ours]


def test_an_endpoint_that_is_not_there(out, videos, fake, capsys):
    fake.url = "http://127.0.0.1:9/v1"
    assert main(command(videos, out, fake)) == 43
    assert "does not answer" in capsys.readouterr().err
    tables = f"--tables={out / 'tables'}"
    assert main(["caption-clips", tables]) == 43
    assert "endpoint ''" in capsys.readouterr().err


def test_settings_that_cannot_work():
    for changes, words in (
        ({"captioner": "http://x/v1"}, "both or neither"),
        ({"caption_max_tokens": 0}, "--caption-max-tokens=0"),
        ({"caption_model": "m"}, "both or neither"),
        ({"caption_kind": "dens"}, "did you mean 'dense'"),
        ({"primary_captions": "mine"}, "given, model"),
        ({"caption_frames": 0}, "--caption-frames=0"),
    ):
        with pytest.raises(ConfigError, match=words):
            ClipCaptionSettings(**changes)
