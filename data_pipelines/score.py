"""Phase 3: every score of every clip, in one decode pass per source.

Nothing is judged here: scores are columns, and `select` asks for what it wants of them.
"""

import functools
import itertools

from data_pipelines import shots
from data_pipelines.job import Job
from data_pipelines.measure import score_source
from data_pipelines.settings import ScoreSettings
from data_pipelines.tables import Columns, Result
from data_pipelines.units import run_units
from videogen.core.errors import ConfigError

ALWAYS = {
    **dict.fromkeys(("motion", "blur", "luma", "dark", "bright", "borders"), float),
    "dhash": str,
}


def run(job: Job) -> Result:
    """Scores the clips of every source."""
    kinds = columns(job.settings)
    sources = {row["id"]: row for row in job.tables.read("ingest")}
    rows = job.tables.read("shots")
    groups = itertools.groupby(rows, key=lambda row: row["source_id"])
    items = [(sources[id]["path"], list(clips)) for id, clips in groups]
    work = functools.partial(score_source, settings=job.settings)
    answers = run_units(items, work, job.parts, job.engine)
    scored, rejected = [], []
    for (_, clips), answer in zip(items, answers, strict=True):
        if "code" in answer:
            name = sources[clips[0]["source_id"]]["name"]
            rejected += [job.rejected({**c, "name": name}, answer) for c in clips]
        else:
            scored += answer["rows"]
    return Result(
        columns=kinds,
        rows=scored,
        rejected=rejected,
        given=len(rows),
    )


def columns(settings: ScoreSettings) -> Columns:
    """Of the table, without making any scorer. ConfigError for a name that is taken."""
    text = {"text_area": float} if settings.text_area else {}
    found = {"id": str, **ALWAYS, **text}
    for name in settings.named_scorers():
        if name in (*shots.COLUMNS, *found, "group"):
            raise ConfigError(f"--scorers={name}=...: there is a column {name} already")
        found[name] = float
    return found
