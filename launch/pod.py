"""What can be done to a TPU VM and its workers, one gcloud command each."""

import json
import os
import shlex
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch import gcloud, snapshot, worker
from launch.shell import Shell
from launch.target import Job, LaunchError, read_env_file


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A TPU VM by name, whether it exists or not."""

    node: gcloud.Node
    shell: Shell

    def describe(self) -> dict[str, Any] | None:
        """What the cloud says of it; None if it does not exist (always when dry)."""
        done = self.shell.run(gcloud.describe(self.node), capture=True)
        if self.shell.dry or "NOT_FOUND" in done.stderr:
            return None
        if done.returncode == 0:
            return json.loads(done.stdout)
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LaunchError(f"gcloud describe {self.node.name} failed: {last}")

    def create(self, *, accelerator_type: str, version: str, spot: bool) -> None:
        """Creates it; an interrupted creation is deleted, a refused one is not."""
        argv = gcloud.create(
            self.node, accelerator_type=accelerator_type, version=version, spot=spot
        )
        try:
            self.shell.check(argv)
        except LaunchError as error:
            # Not deleted: had somebody else just made it, it would not be ours.
            remains = shlex.join(gcloud.delete(self.node))
            raise LaunchError(f"{error}; if it left something: {remains}") from None
        except BaseException:
            self.delete()
            raise

    def ship(self, job: Job, setup: str | None) -> None:
        """Code, worker.py and environment to all workers; then the setup command."""
        here = f"mkdir -p -m 700 {worker.FOLDER}"
        self.shell.check(gcloud.ssh(self.node, "all", here))
        with tempfile.TemporaryDirectory(prefix="launch-") as folder:
            staged = Path("TEMPORARY" if self.shell.dry else folder)
            names = [worker.SNAPSHOT, "worker.py"]
            if job.env_file:
                names.append(worker.ENV_FILE)
            if not self.shell.dry:
                _stage(job, staged, self.node.name)
            sources = [str(staged / name) for name in names]
            self.shell.check(gcloud.scp(self.node, sources, worker.FOLDER))
        self.shell.check(self.on("all", "setup", *([] if setup is None else [setup])))

    def on(self, index: str, *argv: str) -> tuple[str, ...]:
        """The command line that runs worker.py with `argv` on a worker, or on "all"."""
        command = shlex.join(["python3", f"{worker.FOLDER}/worker.py", *argv])
        return gcloud.ssh(self.node, index, command)

    def stop(self, grace_s: float) -> int:
        """Ends the job on all workers: SIGTERM, then SIGKILL."""
        with _uninterrupted():
            return self.shell.run(self.on("all", "stop", str(grace_s))).returncode

    def delete(self) -> None:
        """Deletes it, or says loudly that this failed."""
        with _uninterrupted():
            argv = gcloud.delete(self.node)
            if self.shell.run(argv).returncode:
                raise LaunchError(
                    f"could not delete {self.node.name}: IT MAY STILL COST MONEY; "
                    f"repeat: {shlex.join(argv)}"
                )


def num_workers(state: dict[str, Any] | None) -> int:
    """One network endpoint per worker and network; 1 for a dry run."""
    if state is None:
        return 1
    networks = max(1, len(state.get("networkConfigs", [])))
    return max(1, len(state.get("networkEndpoints", [])) // networks)


def _stage(job: Job, folder: Path, name: str) -> None:
    """Puts what is to be shipped into `folder`, and a record of it beside the logs."""
    taken = snapshot.take(job.root)
    (folder / worker.SNAPSHOT).write_bytes(taken.content)
    (folder / "worker.py").write_text(Path(worker.__file__).read_text())
    if job.env_file:
        lines = [f"{k}={v}\n" for k, v in read_env_file(job.env_file).items()]
        file = os.open(folder / worker.ENV_FILE, os.O_WRONLY | os.O_CREAT, 0o600)
        with open(file, "w") as env:
            env.writelines(lines)
    record = {
        "target": f"tpu-vm:{name}",
        "commit": taken.commit,
        "snapshot_sha256": taken.sha256,
        "module": job.module,
        "args": job.args,
    }
    job.logs.mkdir(parents=True, exist_ok=True)
    (job.logs / "launch.json").write_text(json.dumps(record, indent=1) + "\n")
    print(
        f"launch: {taken.num_files} files, {len(taken.content) / 2**20:.1f} MB, "
        f"commit {taken.commit}, sha256 {taken.sha256[:12]}",
        flush=True,
    )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """An impatient second Ctrl-C must not leave a machine behind."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
