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
# Between the starts of clips, two frames: overlapping clips make enough of them.
STRIDE_SECONDS = "0.083333"


def main(argv: list[str] | None = None) -> int:
    """Runs the five steps; exits with the code of the first that fails."""
    args = parse(argv)
    workdir, data = Path(args.workdir), Path(args.data or f"{args.workdir}/data")
    began = time.monotonic()
    encode = [*door("data_pipelines"), "all", "--videos", args.videos]
    stride = f"--stride-seconds={STRIDE_SECONDS}"
    run("encode", [*encode, "--out", str(data), stride])
    train(args.steps, workdir, data)
    samples = sample(workdir)
    run("report", [*door("videogen.report"), f"--workdir={workdir}"])
    print(f"\nquickstart: done in {time.monotonic() - began:.0f} s. Look at:")
    for path in (workdir / "report.html", samples / "contact_sheet.png"):
        print(f"  {path}")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags; `make quickstart` passes STEPS=, VIDEOS= and WORKDIR=."""
    parser = argparse.ArgumentParser(prog="launch.quickstart", description=__doc__)
    parser.add_argument("--workdir", default="runs/quickstart")
    parser.add_argument("--videos", default="quickstart", help="a folder of videos")
    parser.add_argument("--data", help="the dataset (default: WORKDIR/data)")
    parser.add_argument("--steps", type=int, default=1000)
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
    process = subprocess.Popen(command)
    try:
        code = process.wait()
    except KeyboardInterrupt:  # it has heard of it too, and saves
        process.wait()
        raise
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


def train(steps: int, workdir: Path, data: Path) -> None:
    """Trains to `steps`; a first run is killed once and resumed."""
    newest = latest_step(workdir)
    if newest >= steps:
        print(f"\n== train: already at step {newest}, skipped", flush=True)
        return
    command = [
        *door("videogen.train"),
        f"--config={CONFIG}",
        f"--workdir={workdir}",
        f"--config.data.path={data}",
        f"--config.train.steps={steps}",
        # At least two of them, so that a short run too has something to resume from.
        f"--config.train.checkpoint_every={max(1, min(200, steps // 3))}",
    ]
    if newest < 0:
        crash("train", command, workdir)
    run("train" if newest >= 0 else "resume", command)


def sample(workdir: Path) -> Path:
    """Samples the newest checkpoint once; returns the directory."""
    out = workdir / "samples" / f"step_{latest_step(workdir):06d}_prompts"
    if (out / "samples.json").exists():
        print(f"\n== sample: {out} exists, skipped", flush=True)
    else:
        run("sample", [*door("videogen.sample"), f"--workdir={workdir}"])
    return out


def latest_step(workdir: Path) -> int:
    """The newest complete checkpoint, -1 when there is none."""
    found = (workdir / "checkpoints").glob("*/commit_success.txt")
    return max((int(path.parent.name) for path in found), default=-1)


def announce(name: str, command: list[str]) -> None:
    """What is about to run, as it could be typed."""
    print(f"\n== {name}: {shlex.join(['python', *command[1:]])}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nquickstart: stopped; the same command goes on", file=sys.stderr)
        sys.exit(130)
