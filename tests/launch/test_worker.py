"""The script that runs on the workers, alone: old Pythons, setup, a lost supervisor."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launch import worker
from launch.follow import parse_answer

SOURCE = Path(worker.__file__)
# Stands for pythons and apt-get: logs its name and arguments; makes a venv of itself.
STUB = """#!/bin/bash
echo "${0##*/} $*" >> "$STUB_LOG"
[ "$2" = "import ensurepip" ] && exit "${NO_ENSUREPIP:-0}"
[ "$2" = venv ] && { mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; }
exit 0
"""


def call(home: Path, *argv: str) -> str:
    """Runs worker.py as a file, with `home` as its home directory."""
    done = subprocess.run(
        [sys.executable, str(SOURCE), *argv],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def test_runs_on_the_images_old_python():
    ast.parse(SOURCE.read_text(), feature_version=(3, 8))
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(ast.parse(SOURCE.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert "launch" not in imported


@pytest.mark.parametrize("no_ensurepip", ["0", "1"])
def test_default_setup_makes_a_locked_environment(tmp_path: Path, no_ensurepip: str):
    binaries, log = tmp_path / "bin", tmp_path / "log"
    binaries.mkdir()
    for name in ("python3.11", "sudo"):
        (binaries / name).write_text(STUB)
        (binaries / name).chmod(0o755)
    for name in ("bash", "mkdir", "cp"):
        (binaries / name).symlink_to(f"/bin/{name}")
    environment = {
        "PATH": str(binaries),
        "STUB_LOG": str(log),
        "NO_ENSUREPIP": no_ensurepip,
        "LAUNCH_VENV": str(tmp_path / "venv"),
    }
    command = ["/bin/bash", "-c", worker.DEFAULT_SETUP]
    subprocess.run(command, env=environment, check=True, timeout=30)
    lines = log.read_text().splitlines()
    apt = [line for line in lines if line.startswith("sudo apt-get")]
    assert len(apt) == (2 if no_ensurepip == "1" else 0)
    assert f"python3.11 -m venv {tmp_path / 'venv'}" in lines
    assert lines[-2:] == [
        "python -m pip install -q -c requirements.lock -c requirements-tpu.lock .[tpu]",
        "python -m pip install -q --no-deps -r requirements-nodeps.lock",
    ]


def test_setup_command_may_add_to_the_default(tmp_path: Path):
    home = tmp_path / worker.FOLDER
    home.mkdir()
    (tmp_path / "file").write_text("")
    shipped = ["tar", "-C", str(tmp_path), "-czf", str(home / worker.SNAPSHOT), "file"]
    subprocess.run(shipped, check=True)
    added = 'echo first; echo "$LAUNCH_SETUP"; echo "$LAUNCH_VENV"'
    lines = call(tmp_path, "setup", added).splitlines()
    assert lines[0] == "first" and lines[-1] == str(home / "venv")
    assert "\n".join(lines[1:-1]).strip() == worker.DEFAULT_SETUP.strip()


def test_a_vanished_job_is_reported(tmp_path: Path):
    run = tmp_path / worker.FOLDER / "run"
    run.mkdir(parents=True)
    assert "no job was started" in call(tmp_path, "status")
    (run / "log").write_text("half a li")
    (run / "pid").write_text("999999999")
    answer = json.loads(call(tmp_path, "poll", "5", "10"))
    assert answer == {"text": "a li", "offset": 9, "exit_code": worker.VANISHED}


def test_poll_gives_whole_lines_and_the_code_only_at_the_end(tmp_path: Path):
    run = tmp_path / worker.FOLDER / "run"
    run.mkdir(parents=True)
    process = subprocess.Popen(["sleep", "60"])
    try:
        (run / "pid").write_text(str(process.pid))
        (run / "log").write_bytes(
            "caf\N{LATIN SMALL LETTER E WITH ACUTE}\nhal".encode()
        )
        first = json.loads(call(tmp_path, "poll", "0", "10"))
        assert first["text"].endswith("\n") and first["offset"] == 6
        assert first["exit_code"] is None
        begin = time.monotonic()
        (run / "log").write_bytes(b"")
        empty = json.loads(call(tmp_path, "poll", "0", "0.3"))
        assert empty["text"] == "" and time.monotonic() - begin >= 0.3
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_long_logs_come_in_parts(tmp_path: Path):
    run = tmp_path / worker.FOLDER / "run"
    run.mkdir(parents=True)
    text = "".join(f"{i:099d}\n" for i in range(25_000))
    (run / "log").write_text(text)
    (run / "exit_code").write_text("3")
    received, offset, code = "", 0, None
    while code is None:
        answer = json.loads(call(tmp_path, "poll", str(offset), "1"))
        received += answer["text"]
        offset, code = answer["offset"], answer["exit_code"]
    assert received == text and code == 3


def test_a_repeated_command_counts_once():
    noise = '{"text": "x", "offs\nWARNING: retry\n{"text": "xy", "offset": 2}\n'
    assert parse_answer(noise) == {"text": "xy", "offset": 2}
    assert parse_answer("nothing\n3\n") is None
