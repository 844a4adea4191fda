"""Metrics are read one step late, averaged, written; too many bad steps stop the run."""

import itertools
import json
import math
import time

import jax.numpy as jnp
import pytest

from videogen.train.metrics import Meter, NonFiniteError
from videogen.train.writers import Jsonl, TensorBoard, Terminal


class Recorder:
    def __init__(self):
        self.rows = []

    def write(self, step, split, values):
        self.rows.append((step, split, values))

    def close(self):
        pass


def metrics(loss=1.0, skipped=0):
    values = {"loss": loss, "grad_norm": 1.0, "learning_rate": 0.1, "skipped": skipped}
    return {name: jnp.asarray(value) for name, value in values.items()}


def make_meter(**kwargs):
    defaults = dict(
        log_every=1,
        max_skipped=2,
        tokens_per_step=10.0,
        flops_per_step=1e12,
        in_flight=2,
    )
    return Meter(writer=Recorder(), **{**defaults, **kwargs})


@pytest.mark.parametrize("in_flight, late", [(1, 0), (2, 1), (3, 2)])
def test_a_step_is_read_when_too_many_are_in_flight(in_flight, late):
    meter = make_meter(in_flight=in_flight)
    for step in range(1, 6):
        meter.push(step, metrics())
        assert [row[0] for row in meter.writer.rows] == list(range(1, step - late + 1))
    meter.flush()
    assert len(meter.writer.rows) == 5


def test_the_logged_loss_is_the_mean_of_the_finite_steps_of_its_window():
    meter = make_meter(log_every=3, in_flight=1)
    for step, loss in enumerate([1.0, math.nan, 3.0], start=1):
        meter.push(step, metrics(loss, skipped=int(math.isnan(loss))))
    ((step, split, values),) = meter.writer.rows
    assert (step, split, values["loss"], values["skipped"]) == (3, "train", 2.0, 1)
    rate = pytest.approx(values["steps_per_second"])
    assert values["tokens_per_second"] / 10 == rate
    assert values["tflops_per_second"] == rate


def test_the_window_that_the_end_cuts_short_is_written():
    meter = make_meter(log_every=10)
    for step in range(1, 4):
        meter.push(step, metrics(float(step)))
    meter.finish(3)
    ((step, _, values),) = meter.writer.rows
    assert (step, values["loss"]) == (3, 2.0)


def test_a_pause_is_not_training_time():
    meter = make_meter(log_every=1, in_flight=1)
    with meter.pause():
        time.sleep(0.2)
    meter.push(1, metrics())
    assert meter.writer.rows[0][2]["steps_per_second"] > 10


def test_consecutive_bad_steps_stop_the_run_and_a_good_one_forgives():
    meter = make_meter(in_flight=1)
    for step, skipped in enumerate([1, 1, 0, 1, 1], start=1):
        meter.push(step, metrics(skipped=skipped))
    with pytest.raises(NonFiniteError, match="step 6: .* 3 steps in a row"):
        meter.push(6, metrics(skipped=1))


def test_jsonl_survives_not_a_number_and_appends(tmp_path):
    for step in (1, 2):
        writer = Jsonl(tmp_path / "metrics.jsonl")
        writer.write(step, "train", {"loss": math.nan if step == 1 else 0.5})
        writer.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["step"], row["split"], row["loss"]) for row in rows] == [
        (1, "train", None),
        (2, "train", 0.5),
    ]


def test_tensorboard_writes_events_without_tensorflow(tmp_path):
    writer = TensorBoard(tmp_path)
    writer.write(3, "train", {"loss": 0.5})
    writer.close()
    (events,) = tmp_path.glob("events.out.tfevents.*")
    assert b"train/loss" in events.read_bytes()


def test_progress_line_says_what_a_user_looks_for(capsys):
    values = {"loss": 0.5, "grad_norm": 1.0, "learning_rate": 0.1, "skipped": 0.0}
    values |= {"steps_per_second": 2.0, "tokens_per_second": 2000.0}
    Terminal(100).write(40, "train", values)
    line = capsys.readouterr().out
    for part in ("step  40/100", "loss 0.5000", "2.00 steps/s", "2,000 tokens/s"):
        assert part in line
    assert "ETA 0:30" in line


def test_what_a_step_waits_for_and_reaches_is_written(monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    meter = make_meter(
        log_every=2,
        in_flight=1,
        peak_flops=4e12,
        gauges=lambda: {"compile_seconds": 3.0},
    )
    for step in (1, 2):
        with meter.wait():
            next(ticks)
        meter.push(step, metrics())
    ((_, _, values),) = meter.writer.rows
    # A reading of the clock is a tick: two in each wait and one between, one for the window.
    assert values["data_wait_seconds"] == 2.0
    assert values["steps_per_second"] == 2 / 7
    assert values["mfu"] == pytest.approx(values["tflops_per_second"] / 4)
    assert values["compile_seconds"] == 3.0
    assert "mfu" not in make_written(make_meter(in_flight=1))


def make_written(meter):
    meter.push(1, metrics())
    return meter.writer.rows[0][2]
