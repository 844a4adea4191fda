"""Where metrics go: the terminal, metrics.jsonl, TensorBoard, and W&B if installed."""

import importlib.util
import json
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from absl import logging
from tensorboardX import SummaryWriter

Values = Mapping[str, float]


@runtime_checkable
class Writer(Protocol):
    """Takes host floats; `split` is "train" or "validation"."""

    def write(self, step: int, split: str, values: Values) -> None: ...

    def close(self) -> None: ...


class Jsonl:
    """One JSON object a line, flushed at once: kill -9 loses no line."""

    def __init__(self, path: Path):
        self._file = path.open("a", buffering=1)

    def write(self, step: int, split: str, values: Values) -> None:
        # JSON has no NaN: a non-finite value is written as null.
        finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
        record = {"step": step, "time": time.time(), "split": split, **finite}
        self._file.write(json.dumps(record) + "\n")

    def close(self) -> None:
        self._file.close()


class TensorBoard:
    """Event files, written without TensorFlow."""

    def __init__(self, directory: Path):
        self._writer = SummaryWriter(str(directory), flush_secs=10)

    def write(self, step: int, split: str, values: Values) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        self._writer.close()


class Wandb:
    """Weights & Biases; a resumed workdir continues its own run there."""

    def __init__(self, directory: Path, config: Mapping[str, Any]):
        wandb = importlib.import_module("wandb")
        name = directory / "wandb_id"
        if not name.exists():
            name.write_text(uuid.uuid4().hex)
        self._run = wandb.init(
            dir=str(directory), id=name.read_text(), resume="allow", config=dict(config)
        )

    def write(self, step: int, split: str, values: Values) -> None:
        self._run.log({f"{split}/{k}": v for k, v in values.items()}, step=step)

    def close(self) -> None:
        self._run.finish()


class Terminal:
    """The progress line: step, loss, steps/s, tokens/s, ETA."""

    def __init__(self, num_steps: int):
        self._num_steps = num_steps

    def write(self, step: int, split: str, values: Values) -> None:
        head = f"step {step:>{len(str(self._num_steps))}}/{self._num_steps}  {split}"
        print(f"{head}  {self._line(step, split, values)}", flush=True)

    def _line(self, step: int, split: str, values: Values) -> str:
        if split != "train":
            return "  ".join(f"{k} {v:.4f}" for k, v in values.items() if "/" not in k)
        rate = values["steps_per_second"]
        parts = [
            f"loss {values['loss']:.4f}",
            f"grad {values['grad_norm']:.2f}",
            f"lr {values['learning_rate']:.2e}",
            f"{rate:.2f} steps/s",
            f"{values['tokens_per_second']:,.0f} tokens/s",
            f"ETA {_clock((self._num_steps - step) / max(rate, 1e-9))}",
        ]
        if values["skipped"]:
            parts.append(f"skipped {values['skipped']:.0f} (not finite)")
        return "  ".join(parts)

    def close(self) -> None:
        pass


class Fanout:
    """Several writers as one. An empty one is for the hosts that do not write."""

    def __init__(self, writers: Sequence[Writer]):
        self._writers = writers

    def write(self, step: int, split: str, values: Values) -> None:
        for writer in self._writers:
            writer.write(step, split, values)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def make_writer(
    workdir: Path, *, num_steps: int, config: Mapping[str, Any], primary: bool
) -> Writer:
    """The writers of this process: all of them on the primary, none elsewhere."""
    if not primary:
        return Fanout([])
    writers: list[Writer] = [
        Terminal(num_steps),
        Jsonl(workdir / "metrics.jsonl"),
        TensorBoard(workdir / "tensorboard"),
    ]
    if importlib.util.find_spec("wandb"):
        try:
            writers.append(Wandb(workdir, config))
        except Exception as error:  # not logged in, no network: not worth the run
            logging.warning("no W&B: %s: %s", type(error).__name__, error)
    return Fanout(writers)


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"
