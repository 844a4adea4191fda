"""A CSV or Parquet file of videos and their captions: a row a video, or a part of one.

    path              from where the file lies, or whole
    caption           may be empty
    label             a class, if wanted
    start_s, end_s    if wanted: a part of the video, in seconds from its first frame
    id                if wanted: what tables call the video, each once

Of a video whose rows all name parts, clips are cut inside those alone, which may overlap. A row
that cannot be meant, or that is there twice, or whose file is not there, is set aside; other
columns are nobody's business.
"""

import collections
import os
import pathlib
from collections.abc import Iterator, Sequence

from data_pipelines.captions import Captions, Span
from data_pipelines.inputs.base import CAPTION, Source, faulty
from data_pipelines.inputs.rows import PATH, Columns, Row, read_cells, read_row
from data_pipelines.settings import IngestSettings
from videogen.core.errors import DataError


def find(path: pathlib.Path, settings: IngestSettings) -> tuple[Source, ...]:
    """The videos, in the order of their first rows. DataError, naming row and column."""
    columns = Columns(
        path=settings.video_field or PATH, caption=settings.caption_field or CAPTION
    )
    rows: dict[str, list[Row]] = collections.defaultdict(list)
    faults, ids = [], {}
    for number, cells in enumerate(read_cells(path, columns), 1):
        try:
            row = read_row(cells, number, columns, path.parent)
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
            f"{columns.path!r}: {first.path}: paths begin where the file lies"
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
    kept: dict[tuple[float, float] | None, Row] = {}
    faults = []
    for row in sorted(rows, key=lambda row: (row.start_s, row.number)):
        if (before := kept.setdefault(row.part, row)) is not row:
            reason = f"row {row.number} is of the same part as row {before.number}"
            faults.append(faulty(f"{sheet.name} row {row.number}", "DUPLICATE", reason))
    yield Source(name=name, path=first.path, captions=_captions([*kept.values()]))
    yield from faults


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
