"""`tpu-vm:NAME`: a Cloud TPU VM, all its workers, through `gcloud`."""

import argparse
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch import gcloud
from launch.follow import Follower, follow_all, parse_answer
from launch.pod import Pod, num_workers
from launch.shell import Shell
from launch.target import (
    Job,
    Kind,
    LaunchError,
    Target,
    outcome,
    read_env_file,
    tail,
    terminate_as_exit,
)

LOCKS = ("requirements.lock", "requirements-tpu.lock", "requirements-nodeps.lock")
# A failed worker's guard ends the others in a few seconds; then they are stopped.
FAILURE_GRACE_S = 5.0
_POLL_WAIT_S = 10
_POLL_TIMEOUT_S = 120.0
# A Spot VM that was taken away stays listed until it is deleted; it cannot restart.
_DEAD = ("PREEMPTED", "TERMINATED")


@dataclass(frozen=True, kw_only=True)
class TpuVmTarget:
    """A TPU VM that is created when absent; what a run creates it also deletes."""

    node: gcloud.Node
    accelerator_type: str | None = None
    version: str | None = None
    spot: bool = False
    keep: bool = False
    setup: str | None = None
    pause_s: float = 2.0

    def run(self, job: Job) -> int:
        """Create, ship, set up, start, follow, delete."""
        self._check(job)
        pod = self._pod(job)
        created = self._needs_creation(pod)
        with terminate_as_exit():
            if created:
                self._create(pod)
            try:
                pod.ship(job, self.setup)
                return self._start_and_follow(pod, job)
            finally:
                if created and not self.keep:
                    pod.delete()
                else:
                    print(f"launch: kept: {shlex.join(gcloud.delete(self.node))}")

    def follow(self, job: Job) -> int:
        """Follows the job from the beginning of its logs."""
        pod = self._pod(job)
        state = pod.describe()
        if state is None and not job.dry_run:
            raise LaunchError(f"tpu-vm {self.node.name} does not exist")
        return self._follow(pod, job, num_workers(state))

    def status(self, job: Job) -> int:
        """The VM's state, then one line of each worker."""
        pod = self._pod(job)
        state = pod.describe()
        if state is None and not job.dry_run:
            print(f"{self.node.name}: does not exist")
            return 0
        if state is not None:
            print(f"{self.node.name}: {state['state']}, {num_workers(state)} workers")
        return pod.shell.run(pod.on("all", "status")).returncode

    def stop(self, job: Job) -> int:
        """Stops the job on all workers, with time to save; keeps the VM."""
        return self._pod(job).stop(job.grace_s)

    def delete(self, job: Job) -> int:
        """Deletes the VM with all that is on it."""
        self._pod(job).delete()
        return 0

    def _pod(self, job: Job) -> Pod:
        return Pod(node=self.node, shell=Shell(dry=job.dry_run))

    def _check(self, job: Job) -> None:
        """Before anything costs money."""
        read_env_file(job.env_file)
        for lock in LOCKS if self.setup is None else ():
            if not (job.root / lock).is_file():
                raise LaunchError(
                    f"{job.root / lock} not found: run from the repository's root, "
                    "or give --setup"
                )

    def _needs_creation(self, pod: Pod) -> bool:
        """Whether there is no such VM; a dead one is cleared away."""
        state = (pod.describe() or {}).get("state")
        if state in _DEAD:
            print(f"launch: {self.node.name} is {state}: deleted and created again")
            pod.delete()
        elif state not in (None, "READY"):
            raise LaunchError(
                f"tpu-vm {self.node.name} is {state}, not READY: wait, or delete it"
            )
        return state != "READY"

    def _create(self, pod: Pod) -> None:
        if not (self.accelerator_type and self.version):
            raise LaunchError(
                f"tpu-vm {self.node.name} does not exist: give --accelerator-type and "
                "--version to create it"
            )
        pod.create(
            accelerator_type=self.accelerator_type, version=self.version, spot=self.spot
        )

    def _start_and_follow(self, pod: Pod, job: Job) -> int:
        count = num_workers(pod.describe())
        try:
            pod.shell.check(pod.on("all", "start", job.module, *job.args))
            return self._follow(pod, job, count)
        except BaseException as error:
            if self.keep and isinstance(error, KeyboardInterrupt):
                print("launch: detached; the job goes on: see `logs` and `stop`")
            else:
                pod.stop(job.grace_s)
            raise

    def _follow(self, pod: Pod, job: Job, count: int) -> int:
        """Until all workers ended; the first failure ends the others."""
        if job.dry_run:
            pod.shell.run(pod.on("0", "poll", "0", str(_POLL_WAIT_S)))
            return 0
        followers = [self._follower(pod, job, index) for index in range(count)]
        codes, failed = follow_all(
            followers, lambda: pod.stop(FAILURE_GRACE_S), FAILURE_GRACE_S
        )
        for index, code in enumerate(codes):
            print(f"launch: worker {index} ended with exit code {code}")
        if failed is None:
            return outcome(codes, None)
        log = followers[failed].log
        state = pod.describe() or {"state": "gone"}
        summary = f"worker {failed} failed with exit code {codes[failed]}"
        print(
            f"launch: {summary}; {self.node.name} is {state['state']}. "
            f"Last lines of {log}:\n{tail(log)}",
            file=sys.stderr,
            flush=True,
        )
        return outcome(codes, codes[failed])

    def _follower(self, pod: Pod, job: Job, index: int) -> Follower:
        def poll(offset: int) -> dict[str, Any] | None:
            done = pod.shell.run(
                pod.on(str(index), "poll", str(offset), str(_POLL_WAIT_S)),
                capture=True,
                timeout_s=_POLL_TIMEOUT_S,
                show=offset == 0,
            )
            return parse_answer(done.stdout) if done.returncode == 0 else None

        log = Path(job.logs, f"worker_{index}.log")
        return Follower(index=index, poll=poll, log=log, pause_s=self.pause_s)


def _make(name: str, options: argparse.Namespace) -> Target:
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,60}[a-z0-9])?", name):
        raise LaunchError(
            f"target 'tpu-vm:{name}': want tpu-vm:NAME of lower-case letters, digits "
            "and hyphens, such as tpu-vm:pod-1"
        )
    if not options.zone:
        raise LaunchError(f"target 'tpu-vm:{name}': --zone is missing")
    return TpuVmTarget(
        node=gcloud.Node(name=name, zone=options.zone, project=options.project),
        accelerator_type=options.accelerator_type,
        version=options.version,
        spot=options.spot,
        keep=options.keep,
        setup=options.setup,
        pause_s=options.poll_seconds,
    )


def _add_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--zone", help="such as us-central2-b")
    group.add_argument("--project", help="default: gcloud's own")
    group.add_argument("--accelerator-type", help="to create it: such as v4-32")
    group.add_argument("--version", help="to create it: such as tpu-ubuntu2204-base")
    group.add_argument("--spot", action="store_true", help="create it as a Spot VM")
    group.add_argument(
        "--keep", action="store_true", help="do not delete it at the end"
    )
    group.add_argument(
        "--setup", metavar="COMMAND", help="bash on each worker instead of venv + pip"
    )
    group.add_argument("--poll-seconds", type=float, default=2.0, metavar="S")


KIND = Kind(usage="tpu-vm:NAME", make=_make, add_flags=_add_flags)
