"""A CSV or Parquet file of videos and their captions: a row a video, or a part of one.

    path              from where the file lies, or whole
    caption           may be empty
    label             a class, if wanted
    start_s, end_s    if wanted: a part of the video, in seconds from its first frame
    id                if wanted: what tables call the video, each once

Of a video whose rows all name parts, clips are cut inside those alone. A row that cannot be
meant, or whose file is not there, is set aside; other columns are nobody's business.
"""

import collections
import csv
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from data_pipelines.captions import MOST_LABEL, NO_LABEL, Captions, Span
from data_pipelines.inputs.base import CAPTION, Source, faulty
from data_pipelines.settings import IngestSettings
from videogen.core.errors import DataError, suggest

PATH, PARTS = "path", ("start_s", "end_s")


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


def find(path: pathlib.Path, settings: IngestSettings) -> tuple[Source, ...]:
    """The videos, in the order of their first rows. DataError, naming row and column."""
    names = {
        PATH: settings.video_field or PATH,
        CAPTION: settings.caption_field or CAPTION,
    }
    rows: dict[str, list[Row]] = collections.defaultdict(list)
    faults, ids = [], {}
    for number, cells in enumerate(_cells(path, names), 1):
        try:
            row = _row(cells, number, names, path.parent)
        except ValueError as error:
            reason = f"row {number}, {error}"
            faults.append(faulty(f"{path.name} row {number}", "BAD_ROW", reason))
            continue
        if row.id and ids.setdefault(row.id, number) != number:
            raise DataError(
                f"{path}: row {number}, column 'id': {row.id!r} is row {ids[row.id]}'s too"
            )
        rows[row.path].append(row)
    found = [each for of in rows.values() for each in _sources(of, path)]
    if not found and not faults:
        raise DataError(f"{path}: it has no rows")
    if found and all(source.fault for source in found):
        (first, *_) = next(iter(rows.values()))
        raise DataError(
            f"{path}: none of its files is there, as row {first.number}, column "
            f"{names[PATH]!r}: {first.path}: paths begin where the file lies"
        )
    return (*found, *faults)


def _sources(rows: Sequence[Row], sheet: pathlib.Path) -> Iterator[Source]:
    """Of the rows of one file: itself, then those of its rows that say nothing new."""
    first = rows[0]
    name = os.path.relpath(first.path, sheet.parent)
    if len(rows) == 1:
        name = first.id or name
    if not pathlib.Path(first.path).exists():
        reason = f"row {first.number} of {sheet.name}: {first.path} is not there"
        yield faulty(name, "MISSING", reason)
        return
    kept, faults = [], []
    for row in sorted(rows, key=lambda row: (row.start_s, row.number)):
        before = kept[-1] if kept else None
        code = _unusable(row, before)
        if before and code:
            reason = (
                f"row {row.number}: the same part of a video as row {before.number}"
            )
            faults.append(faulty(f"{sheet.name} row {row.number}", code, reason))
        else:
            kept.append(row)
    yield Source(name=name, path=first.path, captions=_captions(kept))
    yield from faults


def _unusable(row: Row, before: Row | None) -> str:
    """A code, where both are the whole video, or their parts overlap; else ""."""
    if before is None or (before.part is None) != (row.part is None):
        return ""
    if before.part and row.part and row.part[0] >= before.part[1]:
        return ""
    return "DUPLICATE" if row.part == before.part else "BAD_ROW"


def _captions(rows: Sequence[Row]) -> Captions:
    """Parts come after the whole, in order of time."""
    whole = next((row for row in rows if row.part is None), None)
    spans = (
        Span(start_s=row.part[0], end_s=row.part[1], caption=row.caption)
        for row in rows
        if row.part
    )
    return Captions(
        caption=whole and whole.caption,
        label=(whole or rows[0]).label,
        spans=tuple(spans),
        spans_only=whole is None,
    )


def _row(
    cells: dict[str, Any], number: int, names: dict[str, str], folder: pathlib.Path
) -> Row:
    """ValueError, naming the column, for cells that cannot be meant."""
    path = _text(cells, names[PATH])
    if not path:
        raise ValueError(f"column {names[PATH]!r}: it is empty")
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
        caption=_text(cells, names[CAPTION]) or None,
        label=int(label),
        part=None if start_s is None or end_s is None else (start_s, end_s),
        id=_text(cells, "id"),
    )


def _text(cells: dict[str, Any], column: str) -> str:
    value = cells.get(column)
    if not isinstance(value, str | int | None):
        raise ValueError(f"column {column!r}: {value!r:.100} is not a text")
    text = "" if value is None else str(value).strip()
    if "\0" in text:
        raise ValueError(f"column {column!r}: {text!r:.100} is not a text")
    return text


def _number(cells: dict[str, Any], column: str) -> float | None:
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


def _cells(path: pathlib.Path, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Each row by column. DataError unless `names` are there, and both ends of parts."""
    columns: Sequence[str] = ()
    try:
        columns, rows = READERS[path.suffix](path)
        _check_columns(path, columns, names)
        yield from rows
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: {reason}") from error


def _check_columns(
    path: pathlib.Path, columns: Sequence[str], names: dict[str, str]
) -> None:
    parts = PARTS if set(PARTS) & set(columns) else ()
    for column in (*names.values(), *parts):
        if column not in columns:
            flag = {names[PATH]: "--video-field", names[CAPTION]: "--caption-field"}
            cure = f"; {flag[column]} names another" if column in flag else ""
            raise DataError(
                f"{path}: no column {column!r}{suggest(column, columns)}{cure}"
            )


def _read_csv(path: pathlib.Path) -> tuple[Sequence[str], Iterator[dict]]:
    def rows() -> Iterator[dict]:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from csv.DictReader(lines)

    with path.open(encoding="utf-8-sig", newline="") as lines:
        return csv.DictReader(lines).fieldnames or (), rows()


def _read_parquet(path: pathlib.Path) -> tuple[Sequence[str], Iterator[dict]]:
    from pyarrow import parquet  # only of those who have such a file

    file = parquet.ParquetFile(path)
    batches = file.iter_batches()
    rows = (row for batch in batches for row in batch.to_pylist())
    return file.schema_arrow.names, rows


READERS: dict[str, Callable[[pathlib.Path], tuple[Sequence[str], Iterator[dict]]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
