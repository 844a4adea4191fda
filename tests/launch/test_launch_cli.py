"""Bad input of `python -m launch`: one line that says what would work, exit code 43."""

import subprocess
import sys
from pathlib import Path

import pytest

from launch.__main__ import main

ROOT = Path(__file__).parents[2]
TPU = "--target=tpu-vm:pod"
CONFIG = ("--", "--config=config.py:small")
DATA = "--config.data.path=gs://b/d"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "--target=local:4"], "want local:PROCESSESxDEVICES"),
        (["run", "--target=local:-1x2"], "want local:PROCESSESxDEVICES"),
        (["run", "--target=local:0x2"], "at least 1 process and 1 device"),
        (["run", "--target=local:2x0"], "at least 1 process and 1 device"),
        (["run", "--target=local"], "target 'local': want local:PxD"),
        (["run", "--target=locl:4x2"], "did you mean 'local'?"),
        (["run", "--target=gke:x"], "want one of: local:PxD, tpu-vm:NAME"),
        (["run", TPU], "--zone is missing"),
        (["run", "--target=tpu-vm:A_B", "--zone=z"], "want tpu-vm:NAME of lower-case"),
        (["run", "--target=local:1x1", "--spot"], "--spot is for tpu-vm:NAME"),
        (["run", "--target=local:1x1", "--zone=z"], "--zone is for tpu-vm:NAME"),
        (["run", "--target=local:1x1", "--config=c"], "go after `--`"),
        (["run", "--target=local:1x1", "--env-file=none", *CONFIG], "no such file"),
        (["run", "--target=local:1x1", "--env-file=bad", *CONFIG], "bad line 2: want"),
        (["run", "--target=local:1x1"], "--config is missing"),
        (["run", "--target=local:1x1", "--", "--debug"], "--workdir=DIR alone"),
        (["run", "--target=local:1x1", *CONFIG, "--workdir=gs://b/r"], "--workdir=gs:"),
        (
            ["run", "--target=local:1x1", "--", "--workdir", "gs://b/r"],
            "mount the buck",
        ),
        (
            ["run", "--target=local:1x1", *CONFIG, DATA],
            "--config.data.path=gs://b/d is",
        ),
        (["run", "--target=local:1x1", "--", "--config=x.py"], "no file x.py in"),
        (["run", "--target=local:1x1", "--", "--config", "y.py:a"], "no file y.py"),
        (["run"], "arguments are required: --target"),
        (["rum", "--target=local:1x1"], "invalid choice: 'rum'"),
        ([], "required: command"),
        (["logs", "--target=local:1x1"], "lasts only as long as its run"),
    ],
)
def test_bad_input_is_one_line(
    argv: list[str], message: str, tmp_path: Path, monkeypatch, capsys
):
    (tmp_path / "bad").write_text("A=1\nsecret-without-name\n")
    (tmp_path / "config.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 43
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and message in captured.err
    assert captured.err.count("\n") == 1
    assert "secret" not in captured.err + captured.out


def test_config_may_carry_an_argument(tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "config.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--target=local:1x1", "--dry-run", *CONFIG]) == 0
    assert "-m videogen.train --config=config.py:small" in capsys.readouterr().out


def test_a_workdir_stands_in_for_the_config(capsys):
    run = ["run", "--target=local:1x1", "--dry-run", "--"]
    assert main([*run, "--workdir=/not/on/this/machine"]) == 0
    assert "-m videogen.train --workdir=/not" in capsys.readouterr().out


def test_only_videogen_needs_directories(capsys):
    run = ["run", "--target=local:1x1", "--dry-run", "--module=toy", "--"]
    assert main([*run, "--workdir=gs://bucket"]) == 0


def test_launch_imports_no_jax_and_nothing_of_videogen():
    code = (
        "import sys, launch.__main__; "
        "bad = {m.split('.')[0] for m in sys.modules} & {'jax', 'numpy', 'videogen'}; "
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
