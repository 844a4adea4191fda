"""Every door on a small run: train with evaluations, sample, report, debug, help."""

import json
import re

import numpy as np
import pytest
from doors import (
    ROOT,
    call,
    command,
    losses,
    overrides,
    succeed,
    train_command,
)
from fake_endpoint import MODEL, said, serving
from PIL import Image

from videogen import build
from videogen.eval.video import read_mp4

CONFIG = ROOT / "configs/quickstart.py"
DIT = ROOT / "configs/quickstart_dit.py"
FEW = (
    "train.steps=4",
    "train.validate_every=2",
    "train.sample_every=2",
    "train.checkpoint_every=4",
    "train.profile_at=2",
    "train.profile_steps=1",
    "validation.batch_size=4",
    "sample.upscale=2",
)
FRAMES, HEIGHT, WIDTH = 9, 32, 32  # of the tiny dataset's clips


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """A finished run with validation and samples on the way."""
    workdir = tmp_path_factory.mktemp("doors") / "w"
    succeed(train_command(dataset, workdir, *FEW))
    return workdir


@pytest.fixture(scope="module")
def sampled(trained, tmp_path_factory):
    """What the sample door writes with nothing but --workdir and --out."""
    out = tmp_path_factory.mktemp("sampled")
    said = succeed([*command("sample"), f"--workdir={trained}", f"--out={out}"])
    assert f"sample: 2 videos by step 4 in {out}" in said
    return out


def read(config, *fields):
    loaded = build.load_config(str(config))
    build.override(loaded, fields)
    return build.read(loaded)


def check_alike(directory, other):
    """The same videos, to the byte."""
    for file in ("0000.mp4", "0001.mp4"):
        assert (directory / file).read_bytes() == (other / file).read_bytes()


def check_samples(directory, captions, scale=2):
    """Every promised file is there and plays."""
    record = json.loads((directory / "samples.json").read_text())
    assert [entry["caption"] for entry in record["samples"]] == list(captions)
    for entry in record["samples"]:
        frames, fps = read_mp4(directory / entry["file"])
        assert frames.shape == (FRAMES, scale * HEIGHT, scale * WIDTH, 3)
        assert fps == record["fps"] == 8.0
    with Image.open(directory / "contact_sheet.png") as sheet:
        assert sheet.height > len(captions) * HEIGHT
    return record


def test_training_validates_and_samples_on_its_way(trained):
    steps = sorted(path.name for path in (trained / "samples").iterdir())
    assert steps == ["step_000002", "step_000004"]
    for name, step in zip(steps, (2, 4), strict=True):
        record = check_samples(trained / "samples" / name, ("one", "two"))
        assert record["step"] == step
    assert sorted(losses(trained, "validation")) == [0, 2, 4]
    assert sorted(losses(trained)) == [1, 2, 3, 4]


def test_training_says_where_its_time_goes(trained):
    (trace,) = (trained / "profile").rglob("*.xplane.pb")
    assert trace.stat().st_size
    lines = (trained / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    first, *others = (row for row in rows if row["split"] == "train")
    assert first["compile_seconds"] > 0
    for row in (first, *others):
        assert 0 <= row["data_wait_seconds"] <= 1 / row["steps_per_second"]


def test_the_record_is_the_config(dataset, trained):
    settings = read(CONFIG, *overrides(dataset, *FEW))
    again = build.read(build.recorded_config(trained))
    assert again == settings
    assert again.record == settings.record
    assert json.loads((trained / "config.json").read_text()) == settings.record


def test_the_sample_door_repeats_what_training_sampled(trained, sampled):
    """The same weights, prompts and seeds."""
    before = trained / "samples/step_000004"
    assert check_samples(sampled, ("one", "two")) == check_samples(
        before, ("one", "two")
    )
    check_alike(sampled, before)


def test_the_sample_door_takes_overrides(trained, tmp_path):
    said = succeed(
        [
            *command("sample"),
            f"--workdir={trained}",
            f"--out={tmp_path}",
            "--config.sample.prompts=('x',)",
            "--config.sample.seed=1",
            "--config.sample.upscale=1",
            "--config.sample.boundary=0.5",
        ]
    )
    assert "(of two experts one alone: no --low_noise)" in said
    assert check_samples(tmp_path, ("x",), scale=1)["seed"] == 1
    recorded_prompts = json.loads((trained / "config.json").read_text())["sample"]
    assert recorded_prompts["prompts"] == ["one", "two"]


def test_two_experts_that_are_one_sample_as_one(trained, sampled, tmp_path):
    """Whichever of them a step's noise level asks."""
    door = [*command("sample"), f"--workdir={trained}", f"--out={tmp_path}"]
    door += [f"--low_noise={trained}", "--config.sample.boundary=0.5"]
    succeed(door)
    check_alike(tmp_path, sampled)


def test_prompts_are_rewritten_in_the_style_of_the_captions(
    trained, tmp_path, monkeypatch
):
    """Asked once per prompt, whatever else changes; samples.json has both."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as fake:
        fake.answer = lambda body, n: said(f"red waves moving {('up', 'down')[n]}")
        door = [
            *(*command("sample"), f"--workdir={trained}", f"--out={tmp_path}"),
            *(f"--rewrite={fake.url}", f"--rewrite_model={MODEL}"),
        ]
        succeed(door)
        record = check_samples(
            tmp_path, ("red waves moving up", "red waves moving down")
        )
        assert record["rewritten"] == {"model": MODEL, "prompts": ["one", "two"]}
        question = fake.asked[0]["messages"][0]["content"]
        assert "Wish: one" in question and "- red waves moving left" in question
        assert len(fake.asked) == 2
    succeed(door)  # nobody has to be asked
    done = call([*door, "--config.sample.prompts=('three',)"])
    assert done.returncode == 43
    assert done.stderr.splitlines()[-1].startswith(
        f"error: endpoint {fake.url} does not"
    )


def test_a_reader_leaves_the_save_under_way_alone(trained, sampled, tmp_path):
    """Sampling while the trainer saves must not delete what it is writing."""
    unfinished = trained / "checkpoints" / "5.orbax-checkpoint-tmp"
    unfinished.mkdir()
    try:
        door = [*command("sample"), f"--workdir={trained}", f"--out={tmp_path}"]
        succeed(door)
        assert unfinished.is_dir()
    finally:
        unfinished.rmdir()
    check_alike(tmp_path, sampled)


def test_samples_that_cannot_be_written_are_one_line(trained, tmp_path):
    (tmp_path / "file").touch()
    done = call(
        [*command("sample"), f"--workdir={trained}", f"--out={tmp_path}/file/x"]
    )
    assert done.returncode == 43, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: --out={tmp_path}/file/x")
    assert "Traceback" not in done.stderr


def test_the_report_is_one_page_that_needs_nothing_else(trained, tmp_path):
    out = tmp_path / "page.html"
    said = succeed([*command("report"), f"--workdir={trained}", f"--out={out}"])
    assert str(out) in said
    page = out.read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?(?!data:|#)[^"'\s>]""", page)
    # Names of XML namespaces are not fetched.
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)
    assert page.count("data:video/mp4;base64,") == 2
    for text in ("one", "two", "<svg", "global_batch"):
        assert text in page


def test_debug_trains_a_tiny_preset_beside_the_workdir(dataset, tmp_path):
    succeed([*train_command(dataset, tmp_path / "w"), "--debug"])
    assert not (tmp_path / "w").exists()
    debug = tmp_path / "w-debug"
    assert sorted(losses(debug)) == [1, 2, 3, 4]
    check_samples(debug / "samples/step_000004", ("one", "two"), scale=4)


def test_debug_keeps_as_many_labels_as_prompts():
    prompts = "sample.prompts=('a','b','c')"
    sample = build.shrink(read(DIT, prompts, "sample.labels=(1,2,3)"), 1).sample
    assert sample.prompts == ("a", "b") and sample.labels == (1, 2)


def dit_command(dataset, workdir, *extra):
    fields = (
        *(f for f in overrides(dataset) if not f.startswith("sample.prompts")),
        *("train.steps=2", "sample.labels=(3,-1)", *extra),
    )
    flags = [f"--config.{field}" for field in fields]
    return [*command("train"), f"--config={DIT}", f"--workdir={workdir}", *flags]


def test_a_dit_trains_and_samples_by_label(dataset, tmp_path):
    succeed(dit_command(dataset, tmp_path, "train.sample_every=2"))
    values = losses(tmp_path)
    assert sorted(values) == [1, 2] and np.all(np.isfinite(list(values.values())))
    check_samples(tmp_path / "samples/step_000002", ("class 3", "class -1"), scale=4)
    again = build.read(build.recorded_config(tmp_path))
    assert again.sample.labels == (3, -1) and again.sample.prompts == ()
    assert again.model.num_classes == 16


def test_a_label_that_the_model_does_not_have_is_named(dataset, tmp_path):
    done = call(dit_command(dataset, tmp_path, "sample.labels=(1,16)"))
    assert done.returncode == 43
    assert done.stderr.splitlines()[-1] == (
        "error: config.sample.labels has 16, but the model has 16 classes, numbered "
        "from 0 (-1: none)"
    )


@pytest.mark.parametrize(
    "door, words",
    [
        (("train",), ("--config", "--workdir", "debug")),
        (("sample",), ("--config", "--workdir", "--out")),
        (("report",), ("--workdir", "--out")),
        (("data", "all"), ("--videos", "--out", "--tokenizer")),
        (("launch",), ("run", "logs", "delete")),
        (("launch", "run"), ("--target", "local:PxD", "--dry-run")),
    ],
    ids=" ".join,
)
def test_every_door_of_the_front_door_has_help(door, words):
    said = succeed([*command("cli"), *door, "--help"])
    assert not [word for word in words if word not in said]


def test_the_front_door_lists_its_doors_and_suggests_the_nearest():
    listed = succeed(command("cli"))
    done = call([*command("cli"), "trian", "--config=x"])
    assert done.returncode == 43
    first, *rest = done.stderr.splitlines()
    assert first == "error: no door 'trian' (did you mean 'train'?)"
    assert "\n".join(rest).strip() == listed.strip()
    for door in ("train", "sample", "report", "data", "launch"):
        assert re.search(rf"^  {door} ", listed, re.MULTILINE)
