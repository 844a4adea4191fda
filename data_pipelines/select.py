"""Phase 5: which clips stay: a question to the scores (where.py), asked as often as wanted.

Every clip has a row: the code of the first condition that is false for it, or null. Of
near duplicates that meet all conditions one stays.
"""

from collections.abc import Sequence

import pyarrow as pa

from data_pipelines import where
from data_pipelines.dedup import find_worse
from data_pipelines.job import Job
from data_pipelines.tables import Result, Row
from videogen.core.errors import DataError

COLUMNS = {"id": str, "code": str, "reason": str}


def run(job: Job) -> Result:
    """Judges every clip that has scores: the conditions, then who is best of its group."""
    names = {row["id"]: row["name"] for row in job.tables.read("ingest")}
    table = clip_table(job)
    clips = table.to_pylist()
    rows = judge(table, clips, job.settings.where)
    rejected = [
        job.rejected({"id": row["id"], "name": names[clip["source_id"]]}, row)
        for row, clip in zip(rows, clips, strict=True)
        if row["code"]
    ]
    return Result(
        columns=COLUMNS,
        rows=rows,
        rejected=rejected,
        given=len(rows),
        kept=len(rows) - len(rejected),
    )


def judge(table: pa.Table, clips: Sequence[Row], text: str) -> list[Row]:
    """The row of each clip; `clips` are the rows of `table`."""
    rows: list[Row] = [{"id": c["id"], "code": None, "reason": None} for c in clips]
    for condition in where.parse(text):
        for row, clip, holds in zip(rows, clips, condition.holds(table), strict=True):
            if not holds and row["code"] is None:
                row |= {"code": condition.code, "reason": _reason(condition, clip)}
    good = [c for row, c in zip(rows, clips, strict=True) if row["code"] is None]
    worse = find_worse(good)
    for row in rows:
        if row["id"] in worse:
            reason = f"nearly the same as {worse[row['id']]}"
            row |= {"code": "DUPLICATE", "reason": reason}
    return rows


def clip_table(job: Job) -> pa.Table:
    """The clips that have scores, in their order, with all that is known of them."""
    joined = job.tables.read_table("score")
    ids = joined.column("id").to_pylist()
    for phase in ("shots", "dedup"):
        table = job.tables.read_table(phase)
        place = {id: row for row, id in enumerate(table.column("id").to_pylist())}
        if missing := [id for id in ids if id not in place]:
            raise DataError(f"{phase} has no clip {missing[0]}, which score has")
        rows = [place[id] for id in ids]
        taken = table.drop_columns("id").take(pa.array(rows, pa.int64()))
        for name in taken.column_names:
            joined = joined.append_column(name, taken.column(name))
    return joined


def _reason(condition: where.Condition, clip: dict) -> str:
    values = (f"{name}={_number(clip[name])}" for name in condition.columns)
    return f"{condition} is false: {', '.join(values)}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
