"""The rows of a CSV or Parquet file of videos; each that cannot be meant names its column."""

import csv
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from data_pipelines.captions import MOST_LABEL, NO_LABEL
from videogen.core.errors import DataError, suggest

PATH, PARTS = "path", ("start_s", "end_s")
Cells = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """What those are called that every file has."""

    path: str
    caption: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One row that can be meant."""

    number: int  # from 1, after the header
    path: str
    caption: str | None
    label: int
    part: tuple[float, float] | None
    id: str

    @property
    def start_s(self) -> float:
        return self.part[0] if self.part else -1.0


def read_cells(path: pathlib.Path, columns: Columns) -> Iterator[Cells]:
    """Each row by column. DataError unless all that are needed are there."""
    try:
        there, rows = READERS[path.suffix](path)
        _check_columns(path, columns, there)
        yield from rows
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: {reason}") from error


def _check_columns(path: pathlib.Path, columns: Columns, there: Sequence[str]) -> None:
    flags = {columns.path: "--video-field", columns.caption: "--caption-field"}
    parts = PARTS if set(PARTS) & set(there) else ()  # one needs the other
    for column in (*flags, *parts):
        if column not in there:
            cure = f"; {flags[column]} names another" if column in flags else ""
            near = suggest(column, there) if there else ""
            raise DataError(f"{path}: no column {column!r}{near}{cure}")


def read_row(cells: Cells, number: int, columns: Columns, folder: pathlib.Path) -> Row:
    """ValueError, naming the column, for cells that cannot be meant."""
    path = _text(cells, columns.path)
    if not path:
        raise ValueError(f"column {columns.path!r}: it is empty")
    label = _number(cells, "label")
    label = NO_LABEL if label is None else label
    if label != int(label) or not NO_LABEL <= label <= MOST_LABEL:
        raise ValueError(f"column 'label': {label!r} is not a whole number from 0 on")
    start_s, end_s = (_number(cells, column) for column in PARTS)
    if (start_s is None) != (end_s is None):
        raise ValueError(
            f"column {PARTS[end_s is None]!r}: empty, and the other is not"
        )
    if start_s is not None and end_s is not None and not 0 <= start_s < end_s:
        raise ValueError(f"column 'end_s': {end_s} is not after start_s={start_s}")
    return Row(
        number=number,
        path=os.path.normpath(folder / path),
        caption=_text(cells, columns.caption) or None,
        label=int(label),
        part=None if start_s is None or end_s is None else (start_s, end_s),
        id=_text(cells, "id"),
    )


def _text(cells: Cells, column: str) -> str:
    value = cells.get(column)
    if not isinstance(value, str | int | None):
        raise ValueError(f"column {column!r}: {value!r:.100} is not a text")
    text = "" if value is None else str(value).strip()
    if "\0" in text:
        raise ValueError(f"column {column!r}: {text!r:.100} is not a text")
    return text


def _number(cells: Cells, column: str) -> float | None:
    value = cells.get(column)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"column {column!r}: {value!r:.100} is not a number")
    return number


def _read_csv(path: pathlib.Path) -> tuple[Sequence[str], Iterator[Cells]]:
    def rows() -> Iterator[Cells]:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from csv.DictReader(lines)

    with path.open(encoding="utf-8-sig", newline="") as lines:
        return csv.DictReader(lines).fieldnames or (), rows()


def _read_parquet(path: pathlib.Path) -> tuple[Sequence[str], Iterator[Cells]]:
    from pyarrow import parquet  # only of those who have such a file

    file = parquet.ParquetFile(path)
    batches = file.iter_batches()
    rows = (row for batch in batches for row in batch.to_pylist())
    return file.schema_arrow.names, rows


READERS: dict[str, Callable[[pathlib.Path], tuple[Sequence[str], Iterator[Cells]]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
