"""Ahead-of-time compiles and their reports; those that need libtpu bear the mark `tpu`."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from videogen.core.errors import ConfigError
from videogen.cost.compile import CompileError, environment, measure, read_dump
from videogen.parallel.chips import CHIPS, find_chip

HERE = Path(__file__).parent
CASES = HERE / "cases.py"
SHARES = {"bodies": (0.75, 0.25), "cold": 0.25, "steps": None}
CASE = {
    "flops": 1e6,
    "branch": None,
    "shares": {"large": SHARES, "small": SHARES | {"steps": 2}},
    "bytes": {"peak": 4096},
    "facts": {"kept": 0.1},
}


@pytest.fixture
def dump(tmp_path):
    """What a worker and libtpu leave behind; one schedule serves both kernels."""
    (tmp_path / "case.json").write_text(json.dumps(CASE))
    shutil.copy(HERE / "recorded/switched_module.txt", tmp_path / "module.txt")
    for stem in ("7-small.1", "8-large.1"):
        schedule, use = (
            tmp_path / f"{stem}-03-final_bundles.txt",
            tmp_path / f"{stem}-01-final_hlo-static-per-bundle-utilization.txt",
        )
        shutil.copy(HERE / "recorded/two_bodies_schedule.txt", schedule)
        shutil.copy(HERE / "recorded/two_bodies_use.txt", use)
    return tmp_path


def test_a_dump_becomes_a_report(dump):
    chip = find_chip("v6e")
    report = read_dump(dump, chip, seconds=1.0)
    (kernel,) = report.kernels
    assert (kernel.name, kernel.calls, kernel.cost.steps) == ("large.1", 3, 8)
    assert report.kernel_cycles == 3 * kernel.cost.cycles
    assert report.cycles == report.kernel_cycles + report.xla_cycles
    assert report.milliseconds == pytest.approx(1e3 * report.cycles / chip.clock_hz)
    seconds = report.milliseconds / 1e3
    assert report.mxu_share == pytest.approx(1e6 / chip.peak_flops / seconds)
    assert report.peak_bytes == 4096 and not report.unknown_loops
    assert report.facts == {"kept": 0.1}


def test_shares_that_do_not_fit_name_the_kernel(dump):
    (dump / "case.json").write_text(json.dumps(CASE | {"shares": {}}))
    with pytest.raises(ValueError, match="kernel small.1: Shares.bodies"):
        read_dump(dump, find_chip("v6e"), seconds=1.0)


def test_a_kernel_without_a_schedule_is_an_error(dump):
    (dump / "7-small.1-03-final_bundles.txt").unlink()
    with pytest.raises(CompileError, match="no schedule of the kernel small.1"):
        read_dump(dump, find_chip("v6e"), seconds=1.0)


def test_equal_kernels_share_a_schedule(dump):
    module = dump / "module.txt"
    module.write_text(module.read_text().replace("%small.1", "%large.2"))
    text = module.read_text()
    bodies = [part.split('"')[0] for part in text.split('"body":"')[1:]]
    module.write_text(text.replace(*bodies))
    assert read_dump(dump, find_chip("v6e"), seconds=1.0).kernels[0].calls == 3


def test_the_process_sees_no_tpu_and_dumps_little(tmp_path, monkeypatch):
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--of_the_caller=2")
    variables = environment(tmp_path, "--more=1")
    assert variables["JAX_PLATFORMS"] == "cpu"
    assert f"--xla_jf_dump_to={tmp_path} " in variables["LIBTPU_INIT_ARGS"]
    assert variables["LIBTPU_INIT_ARGS"].endswith(" --of_the_caller=2 --more=1")


def test_an_unknown_chip_is_refused_first():
    with pytest.raises(ConfigError, match="v9z"):
        measure(f"{CASES}:matmul", "v9z")


def test_a_missing_libtpu_is_one_line_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CompileError, match="libtpu is not installed.*make setup-tpu"):
        measure(f"{CASES}:matmul", "v5e")


def test_a_slow_compile_is_stopped(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(CompileError, match="not compiled within 0 s"):
        measure(f"{CASES}:matmul", "v5e", timeout=0.1)


@pytest.mark.tpu
@pytest.mark.parametrize("chip", CHIPS)
def test_a_matmul_comes_near_the_peak(chip):
    report = measure(f"{CASES}:matmul", chip)
    (kernel,) = report.kernels
    assert kernel.cost.steps * CHIPS[chip].cores_per_device == 8
    assert 0.4 < (report.mxu_share or 0) < 1
    assert report.peak_bytes >= 3 * 1024**2 * 2


@pytest.mark.tpu
@pytest.mark.parametrize("chip", ["v5e", "v5p"])
def test_the_schedule_agrees_with_xla_about_a_matmul(chip):
    """The model's bias: a little under XLA's estimate. (On v6e this size is HBM-bound.)"""
    ours = measure(f"{CASES}:matmul", chip, n=2048, block=1024)
    xla = measure(f"{CASES}:xla_matmul", chip, n=2048)
    assert xla.kernel_cycles == 0
    assert 0.9 < ours.cycles / xla.cycles < 1


@pytest.mark.tpu
def test_one_branch_of_a_switch_in_a_scan_is_counted():
    dearest = measure(f"{CASES}:switched", "v6e")
    named = measure(f"{CASES}:switched", "v6e", branch="small")
    assert [(k.name, k.calls) for k in dearest.kernels] == [("large.1", 3)]
    assert [(k.name, k.calls) for k in named.kernels] == [("small.1", 3)]
    assert named.cycles < dearest.cycles and not named.unknown_loops


@pytest.mark.tpu
def test_the_compilers_reason_is_quoted():
    with pytest.raises(CompileError, match="memory.*31.25G") as error:
        measure(f"{CASES}:too_large", "v6e")
    assert "\n" not in str(error.value)


@pytest.mark.tpu
def test_a_case_that_is_not_there_is_quoted():
    with pytest.raises(CompileError, match="AttributeError.*nothing"):
        measure(f"{CASES}:nothing", "v6e")


@pytest.mark.tpu
def test_a_slice_that_is_not_made_is_told_with_those_that_are():
    with pytest.raises(CompileError, match="^ConfigError: topology 'v5e:9x9'.*v5e:4x4"):
        measure(f"{CASES}:matmul", "v5e", topology="v5e:9x9")
