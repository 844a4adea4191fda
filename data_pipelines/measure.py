"""The clips of one video: every score of each, in one decode pass."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter

from data_pipelines.decode import open_video
from data_pipelines.quarantine import Reject
from data_pipelines.scores.base import Image, Scorer
from data_pipelines.scores.blur import Blur
from data_pipelines.scores.borders import Borders
from data_pipelines.scores.dhash import DHash
from data_pipelines.scores.external import External
from data_pipelines.scores.luma import Luma
from data_pipelines.scores.motion import Motion
from data_pipelines.scores.text_area import TextArea
from data_pipelines.settings import ScoreSettings
from data_pipelines.tables import Row

FRAMES = 8  # of a clip, evenly spaced, for scores that need not see all


def make_scorers(settings: ScoreSettings) -> list[Scorer]:
    """All of them, in the order of the table's columns."""
    text = [TextArea()] if settings.text_area else []
    own = (External(*item) for item in settings.named_scorers().items())
    return [Motion(), Blur(), Luma(), Borders(), DHash(), *text, *own]


def score_source(item: tuple[str, list[Row]], *, settings: ScoreSettings) -> list[Row]:
    """The rows of the clips of one source, in their order. Raises Reject."""
    path, clips = item
    scorers = make_scorers(settings)
    rows = []
    for clip, measures in measured(path, clips, scorers):
        row = {"id": clip["id"]}
        for scorer, of_frames in zip(scorers, measures, strict=True):
            row |= scorer.summary(of_frames)
        rows.append(row)
    return rows


def measured(
    path: str, clips: Sequence[Row], scorers: Sequence[Scorer]
) -> Iterator[tuple[Row, list[list[Any]]]]:
    """(clip, the measures of its frames by each scorer), clips in order of time."""
    waiting = list(clips)
    wanted = [_wanted(scorer, waiting) for scorer in scorers]
    kept: list[dict[int, Any]] = [{} for _ in scorers]
    before, reformatter = None, VideoReformatter()
    with open_video(path) as video:
        for number, frame in enumerate(video.frames()):
            if not waiting:
                return
            if number < waiting[0]["first_frame"] - 1:
                continue
            image = Image(frame, reformatter, before)
            for scorer, frames, found in zip(scorers, wanted, kept, strict=True):
                if number in frames:
                    found[number] = scorer.measure(image)
            while waiting and waiting[0]["last_frame"] <= number:
                clip = waiting.pop(0)
                yield (
                    clip,
                    [
                        [found[n] for n in frames_of(scorer, clip)]
                        for scorer, found in zip(scorers, kept, strict=True)
                    ],
                )
            first = waiting[0]["first_frame"] if waiting else number
            kept = [{n: m for n, m in f.items() if n >= first} for f in kept]
            image.before = None
            before = image
    if waiting:
        raise Reject("TRUNCATED", "fewer frames than when its shots were found")


def frames_of(scorer: Scorer, clip: Row) -> list[int]:
    """The numbers of the frames of a clip that a scorer measures."""
    first, last = clip["first_frame"], clip["last_frame"]
    if scorer.every_frame:
        return list(range(first, last + 1))
    return np.rint(np.linspace(first, last, FRAMES)).astype(int).tolist()


def _wanted(scorer: Scorer, clips: Sequence[Row]) -> set[int]:
    return {number for clip in clips for number in frames_of(scorer, clip)}
