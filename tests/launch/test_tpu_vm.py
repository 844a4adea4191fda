"""`tpu-vm:NAME` end to end against a fake gcloud that really runs the commands."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from launch.follow import MAX_MISSES
from launch.tpu_vm import LOCKS
from launch.worker import DEFAULT_SETUP

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).with_name("fake_gcloud.py")
TIMEOUT_S = 90
NODE = (
    "--zone=us-central2-b",
    "--accelerator-type=v4-8",
    "--version=tpu-ubuntu2204-base",
)
SECRET = "hunter2-a b"
# Takes the place of venv + pip: a venv/bin/python that is this test's own.
SETUP = (
    'mkdir -p "$LAUNCH_VENV/bin" && printf \'#!/bin/sh\\nexec '
    + sys.executable
    + ' "$@"\\n\' > "$LAUNCH_VENV/bin/python" && chmod +x "$LAUNCH_VENV/bin/python"'
)

TOYS = {
    "hello": """
        import json, os, sys, time
        print("worker", os.environ["TPU_WORKER_ID"], flush=True)
        time.sleep(0.3)
        with open("runs/left_behind", "w") as file:
            file.write("x")
        print(json.dumps([sys.argv[1:], os.environ.get("TOKEN")]))
        """,
    "one_fails": """
        import os, sys, time
        print("pid", os.getpid(), flush=True)
        if os.environ["TPU_WORKER_ID"] == "1":
            time.sleep(0.5)
            sys.exit("the culprit's last words")
        time.sleep(600)
        """,
    "saves": """
        import signal, sys, time
        def save(*_):
            print("saved")
            sys.exit(42)
        signal.signal(signal.SIGTERM, save)
        print("up", flush=True)
        time.sleep(600)
        """,
    "total": """
        import os
        os.environ["JAX_PROCESS_ID"] = os.environ["TPU_WORKER_ID"]
        import jax, jax.numpy as jnp
        from jax.sharding import NamedSharding, PartitionSpec as P
        from videogen.parallel import multihost
        multihost.initialize()
        mesh = jax.make_mesh((4,), ("x",))
        spread = NamedSharding(mesh, P("x"))
        value = jax.make_array_from_callback(
            (4,), spread, lambda i: jnp.arange(4.0)[i])
        replicate = jax.jit(jnp.sum, out_shardings=NamedSharding(mesh, P()))
        print("total", multihost.to_host(replicate(value)))
        """,
}


class Cloud:
    """A work tree with toy modules, a fake gcloud on PATH, and what it recorded."""

    def __init__(self, folder: Path):
        self.folder, self.state, self.code = folder, folder / "cloud", folder / "code"
        self.state.mkdir()
        self.code.mkdir()
        for name, text in TOYS.items():
            (self.code / f"toy_{name}.py").write_text(textwrap.dedent(text))
        (self.code / ".gitignore").write_text("/runs/\n*.secret\n")
        (self.code / "ignored.secret").write_text("no")
        subprocess.run(["git", "init", "-q", "."], cwd=self.code, check=True)
        binaries = folder / "bin"
        binaries.mkdir()
        script = binaries / "gcloud"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
        script.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "FAKE_GCLOUD": str(self.state),
        }

    def start(self, command: str, *own: str, args: tuple[str, ...] = ()):
        """Starts `launch COMMAND` on tpu-vm:pod."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "launch", command, "--target=tpu-vm:pod"),
                *("--logs=runs/logs", "--poll-seconds=0.1", *NODE, *own, "--", *args),
            ],
            cwd=self.code,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def launch(self, command: str, *own: str, args: tuple[str, ...] = ()):
        """Exit code and output of a whole `launch COMMAND`."""
        process = self.start(command, *own, args=args)
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        return process.returncode, output

    def run(self, toy: str, *own: str, args: tuple[str, ...] = ()):
        return self.launch(
            "run", f"--module=toy_{toy}", f"--setup={SETUP}", *own, args=args
        )

    def log(self, worker: int) -> str:
        return (self.code / "runs" / "logs" / f"worker_{worker}.log").read_text()

    def home(self, worker: int) -> Path:
        return self.state / "nodes" / "pod" / f"worker_{worker}" / "videogen_launch"

    @property
    def calls(self) -> list[list[str]]:
        path = self.state / "argv.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line)[3:] for line in lines]

    @property
    def verbs(self) -> list[str]:
        """The calls' verbs without the polls."""
        return [call[0] for call in self.calls if " poll " not in " ".join(call)]

    def assert_nothing_left(self) -> None:
        nodes = self.state / "nodes"
        assert not nodes.exists() or not list(nodes.iterdir())
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                assert f"HOME={self.state}".encode() not in path.read_bytes(), path
            except OSError:
                continue


@pytest.fixture
def cloud(tmp_path: Path):
    cloud = Cloud(tmp_path)
    yield cloud
    if (cloud.state / "nodes" / "pod").exists():
        cloud.launch("delete")


def test_create_ship_run_follow_delete(cloud: Cloud):
    (cloud.code / "env").write_text(f"TOKEN={SECRET}\n")
    args = ("--x=1", "two words; $(date)", "it's a $HOME", "a  b\n`c`", "--", "-v")
    code, output = cloud.run("hello", "--spot", "--env-file=env", args=args)
    assert code == 0, output
    for worker in range(2):
        first, second = cloud.log(worker).splitlines()
        assert first == f"worker {worker}"
        assert json.loads(second) == [list(args), SECRET]
        assert f"[{worker}] worker {worker}" in output
        assert f"launch: worker {worker} ended with exit code 0" in output
    assert cloud.verbs == [
        *("describe", "create", "ssh", "scp", "ssh", "describe", "ssh", "delete")
    ]
    assert "--spot" in cloud.calls[1]
    recorded = (cloud.state / "argv.jsonl").read_text()
    assert "hunter2" not in recorded, "a secret on a command line"
    assert "+ gcloud compute tpus tpu-vm create pod" in output
    record = json.loads((cloud.code / "runs" / "logs" / "launch.json").read_text())
    assert len(record["snapshot_sha256"]) == 64 and record["args"] == list(args)
    cloud.assert_nothing_left()


def test_jax_processes_join_across_workers(cloud: Cloud):
    (cloud.code / "env").write_text(
        f"PYTHONPATH={ROOT}\nJAX_PLATFORMS=cpu\nJAX_NUM_CPU_DEVICES=2\n"
        f"JAX_NUM_PROCESSES=2\nJAX_COORDINATOR_ADDRESS=127.0.0.1:{free_port()}\n"
    )
    code, output = cloud.run("total", "--env-file=env")
    assert code == 0, output
    assert cloud.log(0).splitlines()[-1] == cloud.log(1).splitlines()[-1] == "total 6.0"
    cloud.assert_nothing_left()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_one_failed_worker_fails_the_job(cloud: Cloud):
    begin = time.monotonic()
    code, output = cloud.run("one_fails")
    assert code == 1
    assert time.monotonic() - begin < 30
    assert "worker 1 failed with exit code 1; pod is READY" in output
    assert "| the culprit's last words" in output
    assert "worker 0 ended with exit code 143" in output
    cloud.assert_nothing_left()


def test_kept_machine_is_used_again_and_never_deleted(cloud: Cloud):
    code, output = cloud.run("hello", "--keep")
    assert code == 0 and "launch: kept: gcloud compute tpus tpu-vm delete" in output
    home = cloud.home(1)
    assert (home.stat().st_mode & 0o777) == 0o700
    assert not (home / "code" / "ignored.secret").exists()
    assert not (home / "env").exists()
    code, output = cloud.launch("status")
    assert "pod: READY, 2 workers" in output and "ended with exit code 0" in output
    (cloud.code / "toy_hello.py").write_text("print('changed')\n")
    code, output = cloud.run("hello")
    assert code == 0 and cloud.log(0) == "changed\n"
    assert cloud.verbs.count("create") == 1 and "delete" not in cloud.verbs
    assert (home / "runs" / "left_behind").exists(), "outputs outlive the code"
    code, output = cloud.launch("delete")
    assert code == 0
    assert "pod: does not exist" in cloud.launch("status")[1]
    cloud.assert_nothing_left()


def test_detach_then_stop(cloud: Cloud):
    process = start_and_wait(cloud, "saves", "--keep")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130 and "detached; the job goes on" in output
    code, output = cloud.launch("status")
    assert output.count("running, pid") == 2
    code, output = cloud.run("saves")
    assert code == 43 and "a job runs already" in output
    code, output = cloud.launch("stop")
    assert code == 0 and output.count("ended with exit code 42") == 2
    code, output = cloud.launch("logs")
    assert code == 42 and cloud.log(0) == cloud.log(1) == "up\nsaved\n"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interruption_stops_and_deletes(cloud: Cloud, signum: int):
    process = start_and_wait(cloud, "saves")
    process.send_signal(signum)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 128 + signum
    assert output.count("ended with exit code 42") == 2, "time to save"
    cloud.assert_nothing_left()


def start_and_wait(cloud: Cloud, toy: str, *own: str) -> subprocess.Popen[str]:
    process = cloud.start("run", f"--module=toy_{toy}", f"--setup={SETUP}", *own)
    logs = [cloud.code / "runs" / "logs" / f"worker_{i}.log" for i in range(2)]
    deadline = time.monotonic() + TIMEOUT_S
    while not all(log.exists() and log.read_text() for log in logs):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    return process


def test_broken_connections_lose_and_repeat_nothing(cloud: Cloud):
    (cloud.code / "toy_hello.py").write_text(
        "import time\nfor i in range(30):\n    print(i, flush=True)\n"
        "    time.sleep(0.02)\n"
    )
    # Both workers draw from one list: fewer faults than one worker may meet in a row.
    polls = [255, 0, 255, 0, 0, 255, 0, 255]
    assert polls.count(255) < MAX_MISSES
    (cloud.state / "faults.json").write_text(json.dumps({"ssh": [0, 0, 0, *polls]}))
    code, output = cloud.run("hello")
    assert code == 0, output
    expected = "".join(f"{i}\n" for i in range(30))
    assert cloud.log(0) == cloud.log(1) == expected


def test_a_lost_machine_is_a_failure(cloud: Cloud):
    process = start_and_wait(cloud, "saves")
    node = cloud.state / "nodes" / "pod" / "node.json"
    node.write_text(node.read_text().replace("READY", "PREEMPTED"))
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 255
    assert "failed with exit code 255; pod is PREEMPTED" in output
    cloud.assert_nothing_left()


def test_a_preempted_machine_is_made_again(cloud: Cloud):
    assert cloud.run("hello", "--keep")[0] == 0
    node = cloud.state / "nodes" / "pod" / "node.json"
    node.write_text(node.read_text().replace("READY", "PREEMPTED"))
    code, output = cloud.run("hello")
    assert code == 0 and "pod is PREEMPTED: deleted and created again" in output
    cloud.assert_nothing_left()


@pytest.mark.parametrize(
    ("faults", "message", "verbs"),
    [
        ({"create": [1]}, "exit code 1 from: gcloud", ["describe", "create"]),
        ({"scp": [1]}, "exit code 1 from: gcloud", None),
        ({"ssh": [0, 3]}, "exit code 3 from: gcloud", None),
        ({"describe": [1]}, "describe pod failed: ERROR", ["describe"]),
    ],
)
def test_a_failed_step_is_one_line_and_leaves_nothing(
    cloud: Cloud, faults: dict[str, list[int]], message: str, verbs: list[str] | None
):
    (cloud.state / "faults.json").write_text(json.dumps(faults))
    code, output = cloud.run("hello")
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert code == 43 and len(errors) == 1 and message in errors[0]
    assert "Traceback" not in output
    if verbs:
        assert cloud.verbs == verbs
    cloud.assert_nothing_left()


def test_a_failed_deletion_is_loud(cloud: Cloud):
    (cloud.state / "faults.json").write_text('{"delete": [1]}')
    code, output = cloud.run("hello")
    assert code == 43 and "IT MAY STILL COST MONEY" in output


def test_dry_run_is_the_same_story_and_calls_nothing(cloud: Cloud):
    (cloud.code / "env").write_text(f"TOKEN={SECRET}\n")
    for lock in LOCKS:
        (cloud.code / lock).write_text("")
    code, output = cloud.launch(
        *("run", "--dry-run", "--module=toy_hello", "--env-file=env", "--spot"),
        *("--project=mine",),
        args=("two words; $(date)", "it's"),
    )
    assert code == 0 and not cloud.calls
    golden = Path(__file__).with_name("dry_run.golden").read_text()
    assert output == golden
    assert not (cloud.code / "runs").exists()


def test_no_gcloud_is_one_line(cloud: Cloud, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    cloud.environment["PATH"] = str(empty)
    code, output = cloud.run("hello")
    assert code == 43
    assert output.splitlines()[-1].startswith("error: gcloud is not on PATH")


@pytest.mark.parametrize("missing", LOCKS)
def test_setup_needs_the_lock_files(cloud: Cloud, missing: str):
    for lock in {*LOCKS} - {missing}:
        (cloud.code / lock).write_text("")
    code, output = cloud.launch("run", "--module=toy_hello")
    assert code == 43 and f"{missing} not found" in output
    assert not cloud.calls


def test_setup_uses_every_lock_file():
    assert all(f" {lock}" in DEFAULT_SETUP for lock in LOCKS)
    assert all((ROOT / lock).is_file() for lock in LOCKS)
