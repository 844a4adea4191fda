"""The commands a user types, on a tiny config, each with a hard timeout."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 150
TINY = (
    "data.text_encoder=hash",
    "data.global_batch=8",
    "model.patch=(1,2,2)",
    "model.width=48",
    "model.depth=2",
    "model.num_heads=4",
    "model.mlp_width=96",
    "optimizer.warmup_steps=2",
    "train.steps=20",
    "train.log_every=1",
    "train.validate_every=0",
    "train.sample_every=0",
    "train.checkpoint_every=5",
    "sample.num_steps=2",
    "sample.prompts=('one','two')",
)


def overrides(dataset: Path, *extra: str) -> tuple[str, ...]:
    """The tiny config on `dataset`; later ones win."""
    return (*TINY, f"data.path={dataset}", *extra)


def command(door: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", f"videogen.{door}", *flags]


def train_command(dataset: Path, workdir: Path, *extra: str) -> list[str]:
    fields = [f"--config.{field}" for field in overrides(dataset, *extra)]
    return command(
        "train",
        f"--config={ROOT / 'configs/quickstart.py'}",
        f"--workdir={workdir}",
        *fields,
    )


def environment(num_devices: int = 1) -> dict[str, str]:
    return {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(num_devices),
    }


def call(argv: list[str], *, num_devices: int = 1) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, from the repository root."""
    return subprocess.run(
        argv,
        cwd=ROOT,
        env=environment(num_devices),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


def succeed(argv: list[str], *, num_devices: int = 1) -> str:
    """The output of a command that must exit with 0."""
    done = call(argv, num_devices=num_devices)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def losses(workdir: Path, split: str = "train") -> dict[int, float]:
    """{step: loss}; a step that was repeated counts as it was last written."""
    path = workdir / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows if row["split"] == split}
