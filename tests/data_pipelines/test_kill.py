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

import numpy as np
import pytest
from fake_endpoint import MODEL, images, said, serving
from safetensors.numpy import save_file

from data_pipelines.alone import WORK
from data_pipelines.tables import Tables

PHASES = (
    *("ingest", "shots", "score", "dedup", "select"),
    *("caption-clips", "encode", "finalise"),
)
KILLS = int(os.environ.get("VIDEOGEN_KILLS", "1"))
THREADS = 2  # clips asked about at a time
FLAGS = (
    *(
        "--min-seconds=0.3333333",
        "--max-seconds=0.3333333",
        "--stride-seconds=0.1666667",
    ),
    *("--where=", "--max-distance=0", "--buckets=9x32x48,1x32x48"),
    *("--text-encoder=hash", "--shard-mib=0.011"),
)
IMPORT = (
    *("--format=safetensors", "--normalised=no", "--vae=wan2_1", "--fps=16"),
    *("--text-encoder=hash", "--validation-share=0.2", "--shard-mib=0.01"),
)
LONGEST_S = {
    **{"ingest": 2, "encode": 4, "dedup": 0.2, "select": 0.1, "finalise": 0.3},
    "scan": 2,
}


def make_all(videos, out, endpoint):
    """The command, by a model that takes its time."""
    return [
        *(sys.executable, "-u", "-m", "data_pipelines", "all"),
        *(f"--videos={videos}", f"--out={out}", *FLAGS),
        *(f"--captioner={endpoint.url}", f"--caption-model={MODEL}"),
        f"--caption-threads={THREADS}",
    ]


def make_import(latents, out):
    line = (sys.executable, "-u", "-m", "data_pipelines", "import")
    return [*line, str(latents), str(out), *IMPORT]


def hashes(directory):
    """Of all but what is no part of the dataset, as are the replies that were paid for."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and WORK not in path.parts
    }


def kill_in(phase, delay_s, command):
    """Starts the command, and kills the process so long after that phase began."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(phase):
            time.sleep(delay_s)
            break
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()


def finish(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def kill_and_finish(phase, command):
    """Kills it at random moments of the phase, then lets it end."""
    draw = random.Random(phase)
    for _ in range(KILLS):
        kill_in(phase, draw.uniform(0, LONGEST_S.get(phase, 1)), command)
    finish(command)


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
def endpoint():
    """Its captions are of what it is shown."""

    def answer(body, number):
        time.sleep(0.02)  # or no kill would fall between two replies
        return said(hashlib.sha256(repr(images(body)).encode()).hexdigest())

    with serving() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        fake.answer = answer
        yield fake


@pytest.fixture(scope="module")
def expected(tmp_path_factory, videos, endpoint):
    out = tmp_path_factory.mktemp("whole") / "set"
    finish(make_all(videos, out, endpoint))
    return hashes(out)


@pytest.mark.slow  # 5 s a kill
@pytest.mark.timeout(60 * KILLS + 120)
@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_run_ends_with_the_same_bytes(
    tmp_path, videos, expected, endpoint, phase
):
    out, before = tmp_path / "set", len(endpoint.answered)
    kill_and_finish(phase, make_all(videos, out, endpoint))
    assert hashes(out) == expected
    clips = len(Tables(out / "tables").read("caption-clips"))
    paid = len(endpoint.answered) - before
    assert clips <= paid <= clips + THREADS * KILLS  # those that a kill cut short


@pytest.fixture(scope="module")
def latents(tmp_path_factory):
    """Clips of two shapes, some in one file, with captions; and a file that is none."""
    folder = tmp_path_factory.mktemp("latents")
    for number in range(40):
        shape = (2, 16, 2, 4, 4) if number % 4 == 0 else (16, 3, 4, 6)
        clips = np.random.default_rng(number).normal(size=shape).astype(np.float32)
        save_file({"latents": clips}, folder / f"{number:02d}.safetensors")
        (folder / f"{number:02d}.txt").write_text(f"the clip {number}")
    (folder / "junk.safetensors").write_text("no tensors")
    return folder


@pytest.fixture(scope="module")
def imported(tmp_path_factory, latents):
    out = tmp_path_factory.mktemp("imported") / "set"
    finish(make_import(latents, out))
    return hashes(out)


@pytest.mark.slow  # 5 s a kill
@pytest.mark.timeout(60 * KILLS + 120)
@pytest.mark.parametrize("phase", ["scan", "shards"])
def test_a_killed_import_ends_with_the_same_bytes(tmp_path, latents, imported, phase):
    kill_and_finish(phase, make_import(latents, tmp_path / "set"))
    assert hashes(tmp_path / "set") == imported


@pytest.mark.slow  # 5 s
def test_the_child_ends_with_its_parent(tmp_path, videos, endpoint):
    """No guarded process outlives a killed run by more than its time limit."""
    before = guarded_processes()
    kill_in("score", 1.0, make_all(videos, tmp_path / "set", endpoint))
    deadline = time.monotonic() + 20
    while guarded_processes() - before and time.monotonic() < deadline:
        threading.Event().wait(0.2)
    assert not guarded_processes() - before


def guarded_processes():
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True)
    lines = listed.stdout.splitlines()
    return {line.split()[0] for line in lines if "data_pipelines.guard" in line}
