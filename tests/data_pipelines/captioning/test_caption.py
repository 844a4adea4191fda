"""One command gives a finished dataset new captions, and touches nothing that was there."""

import base64
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
import tensorflow_datasets as tfds
from fake_endpoint import MODEL, images, said
from PIL import Image
from text_folders import write_clip

from data_pipelines import publish
from data_pipelines.captioning.instructions import instructions_sha256
from data_pipelines.synthetic import write_synthetic
from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import load_dataset
from videogen.data.null_text import load_null_text
from videogen.data.pipeline import Conditioning, make_batches
from videogen.data.plan import Plan
from videogen.data.records import parse_caption
from videogen.data.source import open_dataset
from videogen.text import make_encoder
from videogen.text.hashed import HashedWords

ROOT = Path(__file__).parents[3]
CLIPS = 20


def by_content(body, number=0):
    """The caption of a question: another for other images, the same in any order."""
    return said(f"clip {sum(map(len, images(body)))} {hash_of(images(body))}")


def hash_of(urls):
    return "".join(url[-12:] for url in urls).encode().hex()[:16]


def clips_of(directory, version):
    dataset = open_dataset(directory)
    return [
        source[row]
        for split in ("train", "validation")
        for source in dataset.sources(split, captions=version, text=version)
        for row in range(len(source))
    ]


def plan_of(sources):
    buckets = tuple(source.bucket for source in sources)
    return Plan(buckets=buckets, seed=0, global_batch=4)


def test_captions_and_text_of_a_new_version(dataset, fake, run, hashes):
    before = hashes(dataset)
    fake.answer = by_content
    report = run()
    assert "captions 20, without 0" in report and "text hash, 8 tokens" in report
    assert "  3 of 20 clips\n" in report  # after the first shard
    after = hashes(dataset)
    changed = {path for path in before if after[path] != before[path]}
    assert changed == {
        "dataset.json",
        "f3_h2_w2/manifest.json",
        "f1_h3_w2/manifest.json",
    }
    assert all("-v2" in path for path in after.keys() - before.keys())

    encoder, clips = HashedWords(8), clips_of(dataset, "v2")
    assert len(clips) == CLIPS and len({clip.caption for clip in clips}) == CLIPS
    for old, new in zip(clips_of(dataset, "v1"), clips, strict=True):
        assert new.latent.id == old.latent.id and new.caption != old.caption
        text_BLD, mask_BL = encoder.encode([new.caption])
        expected_LD = text_BLD[0][mask_BL[0]].astype(new.text_LD.dtype)
        np.testing.assert_array_equal(new.text_LD, expected_LD)

    info = load_dataset(dataset)
    assert info.captions == ("v1", "v2") and info.text.keys() == {"v1", "v2"}
    made_by = info.captioners["v2"]
    assert (made_by.model, made_by.kind) == (MODEL, "dense")
    assert made_by.origin == instructions_sha256("dense") and made_by.nulls == {}


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
def test_tfds_reads_the_new_version(dataset, fake, run):
    fake.answer = by_content
    run()
    for source in open_dataset(dataset).sources("train", captions="v2"):
        directory = dataset / source.bucket.name / "captions-v2"
        read = tfds.builder_from_directory(directory).as_data_source("train")
        captions = [row["caption"].decode() for row in read]
        assert captions == [source[row].caption for row in range(len(source))]


def test_training_on_the_new_version(dataset, fake, run):
    old = open_dataset(dataset).sources("train", text="v1")
    fake.answer = by_content
    run()
    opened = open_dataset(dataset)
    sources = opened.sources("train", text=("v1", "v2"))
    plan = plan_of(sources)
    assert plan == plan_of(old) and plan.id == plan_of(old).id
    info = opened.info.text["v2"]
    null_LD = load_null_text(dataset, "v2", info.null_crc32)
    told = Conditioning.of(
        null_LD, length=info.length, drop_rate=0.0, seed=0, shares=(1.0,)
    )
    (batch,) = make_batches(sources, plan, conditioning=told, stop_step=1)
    bucket, record_B = plan.batch(0)
    for row, record in enumerate(record_B):
        text_LD = sources[bucket].clip(int(record), 1).text_LD
        valid = batch["text_BLD"][row][batch["text_mask_BL"][row]]
        np.testing.assert_array_equal(valid, text_LD.astype(np.float32))


def test_a_running_job_is_undisturbed(dataset, fake, run):
    sources = open_dataset(dataset).sources("train", captions="v1", text="v1")
    first = [source[0] for source in sources]

    def answer(body, number):
        open_dataset(dataset)  # by whoever starts now
        return by_content(body)

    fake.answer = answer
    run(threads=1)
    for source, clip in zip(sources, first, strict=True):
        again = source[0]
        assert again.caption == clip.caption
        np.testing.assert_array_equal(again.text_LD, clip.text_LD)
        assert source[len(source) - 1].caption  # of a shard that was not open before


def test_the_model_sees_frames_in_order_and_the_instructions(dataset, fake, run):
    run(frames=3, kind="short", threads=1)
    assert len(fake.asked) == CLIPS
    for body, clip in zip(fake.asked, clips_of(dataset, "v1"), strict=True):
        count = min(3, clip.latent.num_frames)
        assert len(images(body)) == count
        assert body["messages"][0]["content"][-1]["text"].startswith(
            f"These images are {count} frames"
        )
        for url in images(body):
            content = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
            image = Image.open(io.BytesIO(content))
            assert image.size == (clip.latent.width, clip.latent.height)
            colour = {"red": 0, "green": 1, "blue": 2}.get(clip.caption.split()[0])
            means = np.asarray(image, np.float32).mean(axis=(0, 1))
            assert colour is None or means.argmax() == colour


def test_the_frames_as_a_video(dataset, fake, run):
    run(send="video", frames=5, threads=1)
    for body, clip in zip(fake.asked, clips_of(dataset, "v1"), strict=True):
        film, text = body["messages"][0]["content"]
        assert film["type"] == "video_url" and "This is a video clip" in text["text"]
        url = film["video_url"]["url"]
        content = base64.b64decode(url.removeprefix("data:video/mp4;base64,"))
        with av.open(io.BytesIO(content)) as container:
            frames = list(container.decode(video=0))
        assert len(frames) == min(5, clip.latent.num_frames)
        assert (frames[0].width, frames[0].height) == (
            clip.latent.width,
            clip.latent.height,
        )


GARBAGE = {
    "EMPTY": said(" "),
    "REFUSAL": said("I'm sorry, I cannot."),
    "TOO_LONG": said("word " * 9999),
    "BAD_RESPONSE": (200, {}, b"<html>"),
    "HTTP_400": (400, {}, b"no"),
    "HTTP_500": (500, {}, b""),
}


def test_garbage_becomes_null_captions_with_reasons(dataset, fake, run):
    answers = list(GARBAGE.values())
    fake.answer = lambda body, n: answers[n] if n < len(answers) else by_content(body)
    report = run(max_failures=0.3, threads=1)
    assert "captions 14, without 6 (1 BAD_RESPONSE, 1 EMPTY" in report
    assert load_dataset(dataset).captioners["v2"].nulls == dict.fromkeys(GARBAGE, 1)
    clips = clips_of(dataset, "v2")
    assert [clip.caption is None for clip in clips] == [True] * 6 + [False] * 14
    null_LD = HashedWords(8).encode([""])[0][0, :1]
    np.testing.assert_array_equal(
        clips[0].text_LD, null_LD.astype(clips[0].text_LD.dtype)
    )
    rows = rows_of(dataset, "v2")
    assert [row.reason for row in rows[:7]] == [*GARBAGE, ""]
    assert {(row.model, row.kind) for row in rows} == {(MODEL, "dense")}


def rows_of(directory, version):
    """The first bucket's caption records of train."""
    source = open_dataset(directory).sources("train", captions=version)[0]
    return [parse_caption(source._captions[row]) for row in range(len(source))]


def test_too_many_failures_change_nothing_and_cost_nothing_twice(
    dataset, fake, run, hashes
):
    before = hashes(dataset)
    fake.answer = lambda body, n: by_content(body) if n < 12 else (500, {}, b"")
    with pytest.raises(
        DataError, match=r"3 of 20 clips have no caption \(3 HTTP_500\)"
    ):
        run(max_failures=0.1, threads=1)
    assert hashes(dataset) == before
    fake.answer = by_content
    run(max_failures=0.1)
    assert Counter(fake.seen).most_common(1)[0][1] == 1 and len(fake.seen) == CLIPS


def test_a_server_that_is_gone_is_not_asked_for_long(dataset, fake, run, hashes):
    before = hashes(dataset)
    fake.answer = lambda body, n: by_content(body) if n < 5 else (503, {}, b"")
    with pytest.raises(DataError, match=r"always there: of 7 .* \(2 HTTP_503\).*kept"):
        run(max_failures=1.0, threads=1)
    assert hashes(dataset) == before and len(fake.asked) < 10


def test_a_question_that_met_no_server_is_no_null_caption(dataset, fake, run, hashes):
    before = hashes(dataset)
    fake.answer = lambda body, n: (503, {}, b"") if n == 5 else by_content(body)
    with pytest.raises(DataError, match=r"of 20 clips .* 1 have no .* run again"):
        run(threads=1)
    assert hashes(dataset) == before
    assert "captions 20, without 0" in run() and len(fake.seen) == CLIPS


def test_a_busy_and_flaky_endpoint_costs_patience_alone(
    dataset, finished, fake, run, hashes, tmp_path
):
    failed = set()

    def answer(body, number):
        time.sleep(0.001 * (number % 7))  # answers come back in another order
        if number % 3 or images(body) in failed:
            return by_content(body)
        failed.add(images(body))
        return 429, {"Retry-After": "0.01"}, b""

    fake.answer = answer
    run(attempts=9, threads=8)
    assert 0 < len(failed) < CLIPS
    fake.answer = by_content
    calm = shutil.copytree(finished, tmp_path / "calm" / "set")
    run(calm, threads=1)
    assert hashes(calm) == hashes(dataset)


def test_the_endpoint_is_down(dataset, fake, run, hashes):
    before = hashes(dataset)
    with pytest.raises(ConfigError, match="does not answer"):
        run(endpoint="http://127.0.0.1:9/v1")
    assert hashes(dataset) == before


def test_a_killed_run_goes_on_with_the_same_bytes(
    dataset, finished, fake, run, hashes, tmp_path
):
    reached, killed = threading.Event(), threading.Event()

    def answer(body, number):
        if number == 9:
            reached.set()
            killed.wait(60)
        return by_content(body)

    fake.answer = answer
    command = [sys.executable, "-m", "data_pipelines", "caption", str(dataset)]
    flags = [
        "--version=v2",
        f"--endpoint={fake.url}",
        f"--model={MODEL}",
        "--threads=1",
    ]
    process = subprocess.Popen(
        [*command, *flags],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
    )
    try:
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
        killed.set()
    assert load_dataset(dataset).captions == ("v1",)
    paid = len(fake.seen)
    run()
    counts = Counter(fake.seen)
    # The one that was under way when it died may have been paid for without a trace.
    assert len(counts) == CLIPS and sum(counts.values()) <= CLIPS + 1 and paid >= 9
    whole = shutil.copytree(finished, tmp_path / "whole" / "set")
    run(whole)
    assert hashes(whole) == hashes(dataset)


def test_a_second_run_asks_nobody(dataset, fake, run):
    run()
    asked = len(fake.asked)
    assert "already captioned: v2" in run()
    assert len(fake.asked) == asked
    with pytest.raises(
        ConfigError, match="--version='v2'.*is there already, by tiny-vision"
    ):
        run(kind="short")
    with pytest.raises(ConfigError, match="--version='v1'.*by its encoding"):
        run(version="v1")
    run(version="v3", kind="short")
    assert load_dataset(dataset).captions == ("v1", "v2", "v3")


def test_captions_alone(dataset, fake, run):
    assert "no text" in run(text_encoder="none")
    info = load_dataset(dataset)
    assert info.captions == ("v1", "v2") and set(info.text) == {"v1"}
    source = open_dataset(dataset).sources("train", captions="v2")[0]
    assert source[0].caption == "a caption"


def test_another_encoder(dataset, fake, run):
    run(text_encoder="hash", text_length=3)
    info = load_dataset(dataset).text["v2"]
    assert (info.name, info.length) == ("hash", 3)


def test_the_encoder_of_the_first_texts(dataset, fake, run):
    run(version="a", text_encoder="hash", text_length=3)
    assert "text hash, 8 tokens" in run()


def test_an_encoder_of_a_folder(fake, run, tmp_path):
    folder, other, directory = (tmp_path / x for x in ("clip", "other", "set"))
    for place, factor in ((folder, 1), (other, 2)):
        place.mkdir()
        write_clip(place, layer_norm_eps=factor * 1e-5)
    encoder = make_encoder(f"clip:{folder}", 9)
    sizes = {"num_records": 2, "num_validation": 0, "latent_shape": (1, 2, 2, 4)}
    write_synthetic(directory, text_encoder=encoder, **sizes)
    with pytest.raises(ConfigError, match="'clip:/path/of/it' would work"):
        run(directory)
    with pytest.raises(ConfigError, match="--text-length=9 to have the new ones"):
        run(directory, text_encoder=f"clip:{other}")
    assert "text clip, 9 tokens" in run(directory, text_encoder=f"clip:{folder}")
    info = load_dataset(directory)
    assert info.text["v2"].fingerprint == info.text["v1"].fingerprint
    run(directory, version="v3", text_encoder=f"clip:{other}", text_length=9)


def test_publishing_may_be_interrupted_anywhere(
    dataset, finished, fake, run, hashes, monkeypatch, tmp_path
):
    """After each step the dataset opens with what it had; in the end nothing shows of it."""
    steps = ("move_files", "write_null_text", "write_manifest", "write_dataset")
    real = {name: getattr(publish, name) for name in steps}
    left = 0

    def interrupted(name):
        def step(*arguments):
            nonlocal left
            left -= 1
            if left < 0:
                raise DataError("interrupted")
            return real[name](*arguments)

        return step

    for name in steps:
        monkeypatch.setattr(publish, name, interrupted(name))
    fake.answer = by_content
    for count in range(20):
        left = count
        try:
            run()
            break
        except DataError as error:
            assert str(error) == "interrupted"
            assert open_dataset(dataset).info.captions == ("v1",)
            assert len(clips_of(dataset, "v1")) == CLIPS
    assert count >= len(steps) and left == 0
    left = 99
    whole = shutil.copytree(finished, tmp_path / "whole" / "set")
    run(whole)
    assert hashes(whole) == hashes(dataset) and len(fake.seen) == 2 * CLIPS


def test_what_an_unfinished_publication_left_is_replaced(
    dataset, fake, run, monkeypatch
):
    def fails(*arguments):
        raise DataError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(publish, "write_dataset", fails)
        with pytest.raises(DataError, match="the disk is full"):
            run()
    assert open_dataset(dataset).info.captions == ("v1",)
    fake.answer = by_content
    run(kind="short", text_encoder="none")
    assert len(clips_of_captions(dataset)) == CLIPS
    assert all(
        "text-v2" not in split.sidecars
        for manifest in open_dataset(dataset).manifests.values()
        for split in manifest.splits.values()
    )


def clips_of_captions(directory):
    dataset = open_dataset(directory)
    return [
        source[row].caption
        for split in ("train", "validation")
        for source in dataset.sources(split, captions="v2")
        for row in range(len(source))
    ]


def test_a_dataset_without_validation(fake, run, tmp_path):
    sizes = {"num_records": 3, "num_validation": 0, "latent_shape": (1, 2, 2, 4)}
    write_synthetic(tmp_path / "train", text_length=4, **sizes)
    run(tmp_path / "train")
    (source,) = open_dataset(tmp_path / "train").sources("train", text="v2")
    assert len(source) == 3 and source[2].text_LD is not None


def test_one_captioner_at_a_time(dataset, fake, run):
    errors = []

    def answer(body, number):
        if not errors:
            with pytest.raises(
                ConfigError, match="added to by another process"
            ) as error:
                run(version="v3")
            errors.append(error)
        return said("x")

    fake.answer = answer
    run(threads=1)
    assert errors


def test_rows_of_other_clips_are_refused(dataset, fake, run):
    path = next(dataset.glob("f3*/manifest.json"))
    sha = open_dataset(dataset).manifests[path.parent.name].splits["train"].ids_sha256
    path.write_text(path.read_text().replace(sha, "0" * 64))
    with pytest.raises(DataError, match="the clips of train are not those"):
        run()
