"""The report tells a run's story: curves, samples, resumes; and says what is missing."""

import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from videogen.core.errors import ConfigError, DataError
from videogen.eval import curves, report
from videogen.eval.charts import draw, running_mean
from videogen.eval.history import read_history
from videogen.eval.sampling import Sample, write_samples

HOSTILE = "<script>alert('a red bicycle')</script>"


def train_row(step, time, **values):
    loss = 0.5 + math.exp(-step / 40)
    row = {"step": step, "time": time, "split": "train", "loss": loss, "skipped": 0}
    rates = {"steps_per_second": 2.0, "tokens_per_second": 2048.0, "grad_norm": 1.0}
    return row | rates | {"learning_rate": 1e-4} | values


def validation_row(step, time):
    loss = 0.6 + math.exp(-step / 40)
    by_time = {f"loss_ema/t={t}": loss + t for t in (0.25, 0.75)}
    values = {"loss": loss, "loss_ema": loss + 0.05, **by_time}
    return {"step": step, "time": time, "split": "validation", **values}


def moving(seed, num_frames=9, height=32, width=56):
    """A square that crosses a coloured field."""
    frames = np.full((num_frames, height, width, 3), (30 * seed, 80, 120), np.uint8)
    for t in range(num_frames):
        frames[t, 10:20, 4 * t : 4 * t + 12] = (240, 200, 40 * seed)
    return frames


def make_workdir(folder):
    """200 steps; killed after 120, resumed from 100; one loss not finite; a torn line."""
    rows = [validation_row(0, 1000)]
    for step in (*range(1, 121), *range(101, 201)):
        rows.append(train_row(step, 1000 + len(rows)))
        if step == 60:
            rows[-1] |= {"loss": None, "grad_norm": None, "skipped": 1}
        if step % 50 == 0:
            rows.append(validation_row(step, 1000 + len(rows)))
    lines = [json.dumps(row) for row in rows]
    lines.insert(125, '{"step": 121, "lo')
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    model = {"width": 128, "patch": [1, 2, 2]}
    config = {"seed": 0, "model": model, "train": {"steps": 200}}
    (folder / "config.json").write_text(json.dumps(config))
    run = {"params": 1_234_567, "devices": "8 x cpu"}
    (folder / "run.json").write_text(json.dumps(run))
    for step in (100, 200):
        videos = [Sample(frames_THWC=moving(seed)) for seed in (1, 4)]
        captions = ["a square crosses a field", HOSTILE]
        where = folder / f"samples/step_{step:06d}"
        write_samples(
            where, videos, captions, fps=8.0, upscale=2, facts={"guidance": 5}
        )
    unfinished = folder / "samples/step_000300"
    unfinished.mkdir()
    (unfinished / "0000.mp4").write_bytes(b"torn")
    return folder


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return make_workdir(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(workdir):
    return report.write_report(workdir).read_text()


def test_of_a_repeated_step_the_last_line_counts(workdir):
    history = read_history(workdir / "metrics.jsonl")
    assert history.steps("train") == list(range(1, 201))
    times = [row["time"] for row in history.splits["train"].values()]
    assert times == sorted(times)


def test_a_resume_is_seen_where_the_run_went_back(workdir):
    history = read_history(workdir / "metrics.jsonl")
    (resume,) = history.resumes
    assert (resume.reached, resume.again) == (120, 101)
    assert history.damaged == 1


def test_null_is_nan_and_the_last_finite_value_is_told(workdir):
    history = read_history(workdir / "metrics.jsonl")
    steps, losses = history.series("train", "loss")
    assert [s for s, v in zip(steps, losses, strict=True) if math.isnan(v)] == [60]
    assert history.last("train", "loss") == losses[-1]


def test_page_needs_nothing_but_itself(page):
    links = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    outside = [link for link in links if not link.startswith(("data:", "#"))]
    assert len(links) > 3 and not outside
    assert "<script" not in page and "@import" not in page


def test_page_shows_the_latest_samples_playing_and_the_earlier_as_sheets(page):
    assert page.count('src="data:video/mp4;base64,') == 2
    assert page.count('src="data:image/jpeg;base64,') == 1
    assert "Samples at step 200" in page and "at step 300" not in page
    assert "a square crosses a field" in page


def test_text_from_outside_cannot_become_markup(page):
    assert HOSTILE not in page and "&lt;script&gt;" in page


def test_page_tells_the_run(page):
    for text in (
        "1.23 M",
        "of 200",
        "had logged step 120",
        "not finite: 1",
        "8 x cpu",
    ):
        assert text in page
    assert "left out: 1" in page
    assert page.count("<svg") == 5 and "not finite" in page


def test_ids_of_the_charts_do_not_collide(page):
    ids = re.findall(r'<(?:clipPath|path) id="(\w+)"', page)
    assert ids and len(ids) == len(set(ids))


def test_a_young_run_has_a_page_too(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(train_row(1, 5)) + "\n")
    page = report.render(tmp_path)
    assert "None yet." in page and "no step was logged twice" in page


@pytest.mark.parametrize(
    "text, message", [(None, "no such file"), ("", "no metrics"), ("{", "no metrics")]
)
def test_missing_metrics_are_one_line(tmp_path, text, message):
    if text is not None:
        (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        report.render(tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(train_row(1, 5)) + "\n")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"config\.json"):
        report.render(tmp_path)


def test_a_page_that_cannot_be_written_says_so(workdir, tmp_path):
    with pytest.raises(ConfigError, match="--out"):
        report.write_report(workdir, tmp_path / "absent" / "report.html")


def test_charts_survive_all_nan_and_single_points(tmp_path):
    rows = [train_row(1, 5, loss=None, grad_norm=None)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text)
    history = read_history(tmp_path / "metrics.jsonl")
    for chart in curves.make_charts(history):
        assert draw(chart).startswith("<svg")


def test_running_mean_leaves_out_what_is_not_finite():
    assert running_mean([1.0, math.nan, 3.0], window=2) == [1.0, 1.0, 3.0]
    assert math.isnan(running_mean([math.nan], window=2)[0])


def test_spread_keeps_the_last():
    assert report.spread(list(range(10)), 3) == [2, 6, 9]
    assert report.spread([1, 2], 3) == [1, 2]


def test_door_prints_one_error_line_and_exits_43(workdir, tmp_path):
    command = [sys.executable, "-m", "videogen.report"]
    bad = subprocess.run(
        [*command, f"--workdir={tmp_path}"], capture_output=True, text=True, timeout=60
    )
    assert bad.returncode == 43
    assert re.fullmatch(r"error: .*metrics\.jsonl: no such file.*\n", bad.stderr)
    out = tmp_path / "page.html"
    good = subprocess.run(
        [*command, f"--workdir={workdir}", f"--out={out}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert good.returncode == 0, good.stderr
    assert out.is_file() and str(out) in good.stdout
