"""The README's main job: videos -> latents -> train, kill -9, resume -> mp4s -> report.

Each step is the command anyone would type; this file only runs them in order, skips what
is finished, and kills the trainer once on purpose to show that nothing is lost.
"""

import argparse
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

CONFIG = "configs/quickstart.py"


def main(argv: list[str] | None = None) -> int:
    """Runs the five steps; returns the exit code of the first that fails."""
    args = parse(argv)
    workdir, data = Path(args.workdir), Path(args.data or f"{args.workdir}/data")
    began = time.monotonic()
    overrides = [f"--config.data.path={data}", f"--config.train.steps={args.steps}"]
    train = [
        *door("videogen.train"),
        f"--config={CONFIG}",
        f"--workdir={workdir}",
        *overrides,
    ]
    encode = [*door("data_pipelines"), "encode", "--videos", args.videos]
    run("encode", [*encode, "--out", str(data)])
    if latest_step(workdir) >= args.steps:
        print(
            f"\n== train: already at step {latest_step(workdir)}, skipped", flush=True
        )
    else:
        if latest_step(workdir) < 0:
            crash("train", train, workdir)
        run("resume", train)
    sample(args, workdir)
    run("report", [*door("videogen.report"), f"--workdir={workdir}"])
    print(f"\nquickstart: done in {time.monotonic() - began:.0f} s. Look at:")
    for path in (workdir / "report.html", newest_samples(workdir)):
        print(f"  {path}")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags; `make quickstart` passes STEPS=, VIDEOS= and WORKDIR=."""
    parser = argparse.ArgumentParser(prog="launch.quickstart", description=__doc__)
    parser.add_argument("--workdir", default="runs/quickstart")
    parser.add_argument("--videos", default="quickstart", help="a folder of videos")
    parser.add_argument("--data", help="the dataset (default: WORKDIR/data)")
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps={args.steps} must be at least 1")
    return args


def door(module: str) -> list[str]:
    """The command of a door, with this interpreter."""
    return [sys.executable, "-m", module]


def run(name: str, command: list[str]) -> None:
    """Runs a step to its end; its failure is ours."""
    announce(name, command)
    code = subprocess.run(command).returncode
    if code:
        print(f"error: {name} exited with {code}", file=sys.stderr)
        sys.exit(code)


def crash(name: str, command: list[str], workdir: Path) -> None:
    """Runs the trainer until its first checkpoint is complete, then kills it."""
    announce(name, command)
    process = subprocess.Popen(command)
    while process.poll() is None and latest_step(workdir) < 0:
        time.sleep(0.2)
    # A little further, so that steps are lost and must be repeated.
    deadline = time.monotonic() + 5
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        step = latest_step(workdir)
        print(f"\n== kill -9, on purpose: the newest checkpoint is step {step}")
    elif process.returncode:
        sys.exit(process.returncode)
    process.wait()


def sample(args: argparse.Namespace, workdir: Path) -> None:
    """Samples once per number of steps."""
    newest = newest_samples(workdir)
    if newest is not None and newest.parent.name.endswith(f"{args.steps:06d}"):
        print(f"\n== sample: {newest.parent} exists, skipped", flush=True)
        return
    run("sample", [*door("videogen.sample"), f"--workdir={workdir}"])


def latest_step(workdir: Path) -> int:
    """The newest complete checkpoint, -1 when there is none."""
    found = (workdir / "checkpoints").glob("*/commit_success.txt")
    return max((int(path.parent.name) for path in found), default=-1)


def newest_samples(workdir: Path) -> Path | None:
    """The newest contact sheet."""
    sheets = sorted(workdir.glob("samples/step_*/contact_sheet.png"))
    return sheets[-1] if sheets else None


def announce(name: str, command: list[str]) -> None:
    """What is about to run, as it could be typed."""
    print(f"\n== {name}: {shlex.join(['python', *command[1:]])}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
