"""One job on several processes: the same numbers, one failure, one clear line."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doors import ROOT, losses, train_command

TIMEOUT_SECONDS = 200
STEPS = ("train.steps=4", "train.validate_every=4", "train.checkpoint_every=2")
MESH = ("mesh.fsdp=2", "mesh.context=2", "mesh.tensor=2", "validation.batch_size=8")
# gloo adds the parts of a sum in another order than the threads of one process do.
ORDER_OF_SUMS = 1e-6


def launch_command(target, logs, dataset, workdir, *extra):
    """`python -m launch run` of the train door with the tiny config."""
    train = train_command(dataset, workdir, *extra)
    flags = train[train.index("videogen.train") + 1 :]
    own = ["run", "--target", target, "--logs", str(logs)]
    return [sys.executable, "-m", "launch", *own, "--", *flags]


class Started:
    """A job that is running; its output is read at the end."""

    def __init__(self, argv):
        self.process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, timeout=TIMEOUT_SECONDS):
        """(exit code, output without the commands that the launcher prints)."""
        output, _ = self.process.communicate(timeout=timeout)
        lines = [line for line in output.splitlines() if not line.startswith("+ ")]
        return self.process.returncode, "\n".join(lines)

    def workers(self):
        """The process ids of the workers, in order."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    def wait_for(self, ready):
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not ready():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, "the job did not get there"
            time.sleep(0.05)


@pytest.fixture
def start():
    """Starts jobs, and leaves none behind: workers die with their launcher."""
    jobs = []

    def start(argv):
        jobs.append(Started(argv))
        return jobs[-1]

    yield start
    for job in jobs:
        job.process.kill()
        job.process.communicate(timeout=10)


def succeed(start, argv):
    code, output = start(argv).finish()
    assert code == 0, output[-4000:]
    return output


def logged(workdir):
    path = workdir / "metrics.jsonl"
    return path.exists() and '"train"' in path.read_text()


def check_same(workdir, expected):
    for split in ("train", "validation"):
        numbers = losses(expected, split)
        assert numbers and losses(workdir, split) == pytest.approx(
            numbers, rel=ORDER_OF_SUMS
        )


def test_two_processes_equal_one(start, dataset, tmp_path):
    steps = ("train.steps=2", "train.validate_every=2", "validation.batch_size=4")
    for processes, devices in ((2, 1), (1, 2)):
        target = f"local:{processes}x{devices}"
        workdir = tmp_path / target
        argv = launch_command(target, tmp_path / "logs", dataset, workdir, *steps)
        succeed(start, argv)
    check_same(tmp_path / "local:2x1", tmp_path / "local:1x2")


def test_a_wrong_field_is_one_line_and_43(start, dataset, tmp_path):
    argv = launch_command(
        "local:2x1", tmp_path / "logs", dataset, tmp_path / "w", "model.wdith=64"
    )
    code, output = start(argv).finish(60)
    assert code == 43
    said = "config.model.wdith: no such field (did you mean 'width'?)"
    (line,) = [line for line in output.splitlines() if said in line]
    assert re.fullmatch(r"error: rank [01]: " + re.escape(said), line)
    assert "Traceback" not in output
    assert not (tmp_path / "w").exists()


@pytest.fixture(scope="module")
def four_by_two(dataset, tmp_path_factory):
    """4 processes x 2 devices, uninterrupted."""
    directory = tmp_path_factory.mktemp("local-4x2")
    job = Started(
        launch_command(
            "local:4x2", directory / "logs", dataset, directory / "w", *STEPS, *MESH
        )
    )
    try:
        code, output = job.finish()
    finally:
        job.process.kill()
    assert code == 0, output[-4000:]
    assert len(list((directory / "logs").glob("worker_*.log"))) == 4
    return directory / "w"


@pytest.mark.slow  # 50 s each, and 50 the fixture's
@pytest.mark.parametrize(
    "target, more",
    [("local:1x8", ()), ("local:2x4", ("optimizer.offload=True",))],
    ids=["1x8", "2x4-offload"],
)
def test_4_processes_x_2_devices_equal_others(
    start, dataset, four_by_two, tmp_path, target, more
):
    argv = launch_command(
        target, tmp_path / "logs", dataset, tmp_path / "w", *STEPS, *MESH, *more
    )
    succeed(start, argv)
    check_same(tmp_path / "w", four_by_two)


@pytest.mark.slow  # 30 s
def test_another_number_of_processes_resumes(start, dataset, four_by_two, tmp_path):
    """2 x 4 goes on from what 4 x 2 saved, and repeats its steps."""
    workdir = tmp_path / "w"
    shutil.copytree(four_by_two, workdir)
    shutil.rmtree(workdir / "checkpoints" / "4")
    (workdir / "metrics.jsonl").unlink()
    argv = launch_command(
        "local:2x4", tmp_path / "logs", dataset, workdir, *STEPS, *MESH
    )
    assert "resuming at step 2" in succeed(start, argv)
    straight = losses(four_by_two)
    assert losses(workdir) == {step: straight[step] for step in (3, 4)}


@pytest.mark.slow  # 30 s
def test_a_killed_worker_ends_the_job_and_loses_nothing(start, dataset, tmp_path):
    workdir = tmp_path / "w"
    long = ("train.steps=100000", "train.checkpoint_every=1")
    job = start(launch_command("local:2x1", tmp_path / "logs", dataset, workdir, *long))
    job.wait_for((workdir / "checkpoints" / "2" / "commit_success.txt").exists)
    workers = job.workers()
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    began = time.monotonic()
    code, output = job.finish(60)
    assert time.monotonic() - began < 30
    assert code == 128 + signal.SIGKILL, output[-4000:]
    assert "launch: worker 1 failed with exit code 137; all were stopped" in output
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    newest = max(losses(workdir))
    again = launch_command(
        "local:2x1", tmp_path / "logs", dataset, workdir, f"train.steps={newest + 1}"
    )
    (step,) = re.findall(r"resuming at step (\d+)", succeed(start, again))
    assert newest - 2 <= int(step) <= newest


@pytest.mark.slow  # 25 s
def test_sigterm_saves_on_all_processes(start, dataset, tmp_path):
    workdir = tmp_path / "w"
    long = ("train.steps=100000", "train.checkpoint_every=100000")
    job = start(launch_command("local:2x1", tmp_path / "logs", dataset, workdir, *long))
    job.wait_for(lambda: logged(workdir))
    job.process.send_signal(signal.SIGTERM)
    code, output = job.finish(60)
    assert code == 42, output[-4000:]
    newest = max(losses(workdir))
    assert [int(path.name) for path in (workdir / "checkpoints").iterdir()] == [newest]
