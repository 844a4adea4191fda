"""What metrics.jsonl says happened: one row a step, and where the run went back."""

import dataclasses
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from videogen.core.errors import DataError

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resume:
    """Training went back to repeat steps that a stop had lost."""

    reached: int  # the last step logged before the stop
    again: int  # the first step logged after it
    time: float  # unix seconds of that first step
    pause: float  # seconds between the two


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
    """Rows by split and step, in step order; of a repeated step the last one counts."""

    splits: dict[str, dict[int, Row]]
    resumes: tuple[Resume, ...]
    damaged: int  # lines that are not whole records, e.g. torn by a kill

    def steps(self, split: str) -> list[int]:
        """The logged steps of a split, ascending."""
        return list(self.splits.get(split, {}))

    def names(self, split: str) -> list[str]:
        """Every metric of a split."""
        rows = self.splits.get(split, {}).values()
        return sorted(
            {name for row in rows for name in row} - {"step", "time", "split"}
        )

    def series(self, split: str, name: str) -> tuple[list[int], list[float]]:
        """(steps, values) where the metric was logged; a null value is NaN."""
        rows = self.splits.get(split, {})
        steps = [step for step, row in rows.items() if name in row]
        return steps, [number(rows[step][name]) for step in steps]

    def last(self, split: str, name: str) -> float | None:
        """The latest finite value, if there is one."""
        values = [v for v in self.series(split, name)[1] if math.isfinite(v)]
        return values[-1] if values else None


def number(value: Any) -> float:
    """A metric's value as a float; null, as a non-finite one is written, is NaN."""
    return float(value) if isinstance(value, int | float) else math.nan


def read_history(path: Path) -> History:
    """Reads metrics.jsonl; DataError when it is absent or holds no record."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; --workdir must be a run's, after its first steps"
        ) from error
    parsed = [_parse(line) for line in lines if line.strip()]
    rows = [row for row in parsed if row is not None]
    if not rows:
        raise DataError(f"{path}: holds no metrics yet; train a few steps first")
    return make_history(rows, damaged=len(parsed) - len(rows))


def make_history(rows: Iterable[Row], damaged: int = 0) -> History:
    """Rows in the order they were written -> History."""
    splits: dict[str, dict[int, Row]] = {}
    resumes: list[Resume] = []
    before: Row | None = None
    for row in rows:
        if row["split"] == "train":
            if before and row["step"] <= before["step"]:
                resumes.append(_resume(before, row))
            before = row
        splits.setdefault(row["split"], {})[row["step"]] = row
    ordered = {split: dict(sorted(rows.items())) for split, rows in splits.items()}
    return History(splits=ordered, resumes=tuple(resumes), damaged=damaged)


def _resume(before: Row, row: Row) -> Resume:
    return Resume(
        reached=before["step"],
        again=row["step"],
        time=float(row["time"]),
        pause=max(0.0, float(row["time"] - before["time"])),
    )


def _parse(line: str) -> Row | None:
    """One record, or None for a line that is not a whole one."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    kinds = {"step": int, "time": int | float, "split": str}
    whole = isinstance(row, dict) and all(
        isinstance(row.get(name), kind) for name, kind in kinds.items()
    )
    return row if whole else None
