"""The captions of caption-clips in a dataset's plan, beside those that came with the videos."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

from data_pipelines.clips import Caption, Clip
from data_pipelines.job import Job
from data_pipelines.plan import Plan
from data_pipelines.shard import version
from data_pipelines.tables import Row
from videogen.data.schema import CaptionInfo

PHASE = "caption-clips"


def add_written(job: Job, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    """(plan, facts) with the captions of the table, as they were if there is none.

    facts["captioners"]: version -> the fields of CaptionInfo, of what the model wrote.
    """
    if PHASE not in job.inputs:
        return plan, {}
    rows = job.tables.read(PHASE)
    plan = with_captions(plan, rows)
    by_version = zip(*(clip.captions for clip in plan.all_clips), strict=True)
    infos = {
        version(number): _info(captions, rows[0]["origin"])
        for number, captions in enumerate(by_version)
        if captions[0].model
    }
    return plan, {"captioners": infos}


def with_captions(plan: Plan, rows: Sequence[Row]) -> Plan:
    """Each clip with two captions, the model's first or last; or its alone, if none came."""
    is_first = any(row["is_primary"] for row in rows)
    by_model = {
        row["id"]: Caption(
            text=row["caption"],
            model=row["model"],
            kind=row["kind"],
            reason=row["reason"] or "",
        )
        for row in rows
    }
    came = any(clip.captions[0].text is not None for clip in plan.all_clips)

    def captioned(clip: Clip) -> Clip:
        written = (by_model[clip.id],)
        given = clip.captions if came else ()
        both = written + given if is_first else given + written
        return dataclasses.replace(clip, captions=both)

    shards = (
        dataclasses.replace(shard, clips=tuple(map(captioned, shard.clips)))
        for shard in plan.shards
    )
    return dataclasses.replace(plan, shards=tuple(shards))


def _info(captions: Sequence[Caption], origin: str) -> dict[str, Any]:
    nulls = collections.Counter(c.reason for c in captions if c.text is None)
    info = CaptionInfo(
        model=captions[0].model,
        kind=captions[0].kind,
        origin=origin,
        nulls=dict(sorted(nulls.items())),
    )
    return dataclasses.asdict(info)
