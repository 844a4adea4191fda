"""Phase 1: which videos there are: sound at first sight, each once, with their captions.

One row a source. Its id is the sha256 of its bytes, so equal files meet here: the first
one stays.
"""

from data_pipelines.job import Job
from data_pipelines.probe import probe
from data_pipelines.quarantine import Rejected
from data_pipelines.sources import find_sources
from data_pipelines.tables import Result, Row
from data_pipelines.units import run_units

COLUMNS = {
    "id": str,
    "name": str,  # relative to its folder
    "path": str,  # a place (places.py)
    "size": int,  # bytes
    "codec": str,
    "height": int,  # as displayed
    "width": int,
    "captions": str,  # JSON of captions.Captions
}


def run(job: Job) -> Result:
    """Probes every video of the folder."""
    sources = find_sources(job.settings)
    answers = run_units(sources, probe, job.parts, job.engine)
    rows: dict[str, Row] = {}
    rejected = []
    for source, answer in zip(sources, answers, strict=True):
        if "code" in answer:
            named = {"id": "", "name": source.name}
            rejected.append(job.rejected(named, answer))
            continue
        (row,) = answer["rows"]
        if (first := rows.setdefault(row["id"], row)) is not row:
            rejected.append(_duplicate(job, row, first))
    return Result(
        columns=COLUMNS,
        rows=list(rows.values()),
        rejected=rejected,
        given=len(sources),
    )


def _duplicate(job: Job, row: Row, first: Row) -> Rejected:
    reason = f"the same bytes as {first['name']}"
    return job.rejected(row, {"code": "DUPLICATE", "reason": reason})
