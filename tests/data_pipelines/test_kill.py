"""kill -9 at any moment of any phase: the same command goes on and ends with the same bytes.

`make soak` kills each phase more often: VIDEOGEN_KILLS=20.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

PHASES = ("ingest", "shots", "score", "dedup", "select", "encode", "finalise")
KILLS = int(os.environ.get("VIDEOGEN_KILLS", "2"))
FLAGS = (
    *(
        "--min-seconds=0.3333333",
        "--max-seconds=0.3333333",
        "--stride-seconds=0.1666667",
    ),
    *("--where=", "--max-distance=0", "--buckets=9x32x48,1x32x48"),
    *("--text-encoder=hash", "--shard-mib=0.011"),
)
LONGEST_S = {"ingest": 2, "encode": 4, "dedup": 0.2, "select": 0.1, "finalise": 0.3}


def command(videos, out):
    return [
        *(sys.executable, "-u", "-m", "data_pipelines", "all"),
        *(f"--videos={videos}", f"--out={out}", *FLAGS),
    ]


def hashes(directory):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def kill_in(phase, delay_s, videos, out):
    """Starts all phases, and kills the process so long after that one began."""
    process = subprocess.Popen(
        command(videos, out), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(phase):
            time.sleep(delay_s)
            break
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()


@pytest.fixture(scope="module")
def videos(tmp_path_factory, make_video):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(6):
        make_video(folder / f"{number}.mp4", [30, 30], first=7 * number)
    make_video(folder / "short.mp4", [8])
    make_video(folder / "one.mp4", [1])
    (folder / "junk.mp4").write_text("no film")
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory, videos):
    out = tmp_path_factory.mktemp("whole") / "set"
    subprocess.run(command(videos, out), check=True, stdout=subprocess.DEVNULL)
    return hashes(out)


@pytest.mark.slow  # 5 s a kill
@pytest.mark.timeout(60 * KILLS + 120)
@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, videos, expected, phase):
    out = tmp_path / "set"
    draw = random.Random(phase)
    for _ in range(KILLS):
        kill_in(phase, draw.uniform(0, LONGEST_S.get(phase, 1)), videos, out)
    subprocess.run(command(videos, out), check=True, stdout=subprocess.DEVNULL)
    assert hashes(out) == expected


@pytest.mark.slow  # 5 s
def test_the_child_ends_with_its_parent(tmp_path, videos):
    """No guarded process outlives a killed run by more than its time limit."""
    before = guarded_processes()
    kill_in("score", 1.0, videos, tmp_path / "set")
    deadline = time.monotonic() + 20
    while guarded_processes() - before and time.monotonic() < deadline:
        threading.Event().wait(0.2)
    assert not guarded_processes() - before


def guarded_processes():
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True)
    lines = listed.stdout.splitlines()
    return {line.split()[0] for line in lines if "data_pipelines.guard" in line}
