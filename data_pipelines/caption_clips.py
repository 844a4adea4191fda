"""Phase 6, if a model is there to ask: a caption of each clip that stays, before it is encoded.

One row a clip. The frames that the model sees are cut from the videos by a guarded process,
in one pass each, while several clips are asked about at a time. Replies are kept in the
tables' folder (.captions/replies.sqlite): none is asked for twice, also after a kill.
"""

import contextlib
import itertools
from collections.abc import Generator, Sequence

import numpy as np

from data_pipelines.alone import WORK
from data_pipelines.captioning.asking import Asking, Question
from data_pipelines.captioning.clip_settings import MODEL, ClipCaptionSettings
from data_pipelines.captioning.frames import jpegs_at
from data_pipelines.captioning.settings import MAX_CHARACTERS
from data_pipelines.captioning.tally import Tally
from data_pipelines.guard import Guard, Limits
from data_pipelines.job import Job
from data_pipelines.pixels import told
from data_pipelines.quarantine import Reject
from data_pipelines.tables import Result, Row
from videogen.core.errors import DataError
from videogen.text.chat.endpoint import Endpoint, key_in
from videogen.text.chat.replies import Replies

COLUMNS = {
    "id": str,
    "caption": str,  # null without one
    "model": str,
    "kind": str,
    "origin": str,  # sha256 of what it was asked
    "reason": str,  # why it is null
    "is_primary": bool,  # v1 of the dataset, before what came with the videos
}


def run(job: Job) -> Result:
    """Asks about every clip that was selected. DataError when too many get no caption."""
    settings = job.settings
    clips = selected(job)
    work = job.tables.directory / WORK
    with contextlib.closing(Replies(work / "replies.sqlite")) as replies:
        asking = _asking(settings, replies)
        asking.endpoint.check()
        tally = Tally(
            total=len(clips),
            most=job.engine.max_failures,
            patience=2 * settings.caption_threads,
        )
        rows = []
        paths = {row["id"]: row["path"] for row in job.tables.read("ingest")}
        shown = questions(clips, paths, settings.caption_frames, job.engine.limits)
        with (
            contextlib.closing(shown),  # after who asks: its child ends with it
            contextlib.closing(asking.about(shown)) as answers,
        ):
            for answer in answers:
                tally.add(answer)
                rows.append(
                    {
                        "id": answer.id,
                        "caption": answer.caption,
                        "model": asking.model,
                        "kind": asking.kind,
                        "origin": asking.origin,
                        "reason": answer.code or None,
                        "is_primary": settings.primary_captions == MODEL,
                    }
                )
    return Result(columns=COLUMNS, rows=rows, rejected=[], given=len(clips))


def selected(job: Job) -> list[Row]:
    """The rows of shots whose clips stay, in order."""
    stay = {row["id"] for row in job.tables.read("select") if row["code"] is None}
    return [row for row in job.tables.read("shots") if row["id"] in stay]


def make_endpoint(settings: ClipCaptionSettings) -> Endpoint:
    """Unchecked whether it answers. ConfigError for what is no address, or no key."""
    return Endpoint(
        url=settings.captioner,
        model=settings.caption_model,
        max_tokens=settings.caption_max_tokens,
        timeout_s=settings.caption_timeout_s,
        api_key=key_in(settings.caption_key_env),
    )


def _asking(settings: ClipCaptionSettings, replies: Replies) -> Asking:
    return Asking(
        endpoint=make_endpoint(settings),
        kind=settings.caption_kind,
        send=settings.caption_send,
        replies=replies,
        threads=settings.caption_threads,
        max_characters=MAX_CHARACTERS,
    )


def questions(
    clips: Sequence[Row], paths: dict[str, str], count: int, limits: Limits
) -> Generator[Question, None, None]:
    """Of each clip, with at most `count` of its frames. DataError when one is not read."""
    with contextlib.closing(Guard(limits)) as guard:
        for id, group in itertools.groupby(clips, key=lambda row: row["source_id"]):
            rows = list(group)
            moments = [_moments(row, count) for row in rows]
            size = rows[0]["height"], rows[0]["width"]
            try:
                jpegs = jpegs_at(guard, paths[id], moments, *size)
                for row, found in zip(rows, jpegs, strict=True):
                    yield Question(id=row["id"], seconds=row["seconds"], jpegs=found)
            except Reject as reject:
                raise DataError(told(paths[id], reject)) from reject


def _moments(row: Row, count: int) -> list[float]:
    """Seconds of the source, evenly spaced over the clip, both ends among them."""
    frames = row["last_frame"] - row["first_frame"] + 1
    return np.linspace(row["start_s"], row["end_s"], min(count, frames)).tolist()
