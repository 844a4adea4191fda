"""One video: decoded whole, its shots found, its clips cut."""

from collections.abc import Sequence

import numpy as np

from data_pipelines import clips
from data_pipelines.captions import Captions
from data_pipelines.decode import Video, open_video
from data_pipelines.detectors import DETECTORS
from data_pipelines.quarantine import Reject
from data_pipelines.settings import ShotsSettings
from data_pipelines.tables import Row


def cut_source(source: Row, *, settings: ShotsSettings) -> list[Row]:
    """One row: how many shots, and the rows of the clips. Raises Reject."""
    with open_video(source["path"]) as video:
        times_s, shots = _scan(video, settings)
        size = video.size
    within = _within(source)
    if len(times_s) == 1:
        still = clips.Span(start_s=0.0, end_s=0.0, first_frame=0, last_frame=0)
        spans = [still]
    else:
        spans = clips.cut(
            times_s,
            shots,
            min_seconds=settings.min_seconds,
            max_seconds=settings.max_seconds,
            stride_seconds=settings.stride_seconds,
            within=within,
        )
    if not spans:
        reason = _too_short(times_s, shots, settings, within)
        raise Reject("TOO_SHORT", reason)
    pixels = len(times_s) * source["height"] * source["width"]
    facts = {
        "source_id": source["id"],
        "height": source["height"],
        "width": source["width"],
        "fps": (len(times_s) - 1) / times_s[-1] if len(times_s) > 1 else None,
        "bits_per_pixel": 8 * size / pixels,
    }
    rows = [{**_row(source["id"], span), **facts} for span in spans]
    return [{"shots": len(shots), "clips": rows}]


def _within(source: Row) -> Sequence[tuple[float, float]]:
    """The parts of the video that are wanted, in seconds."""
    captions = Captions.from_json(source["captions"])
    parts = [(span.start_s, span.end_s) for span in captions.spans]
    return parts if captions.spans_only else clips.ALL


def _row(source_id: str, span: clips.Span) -> Row:
    return {
        "id": clips.span_id(source_id, span),
        "start_s": span.start_s,
        "end_s": span.end_s,
        "seconds": span.end_s - span.start_s,
        "first_frame": span.first_frame,
        "last_frame": span.last_frame,
    }


def _scan(
    video: Video, settings: ShotsSettings
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Times in seconds from the first frame, and the shots."""
    detector = DETECTORS[settings.detector].make(settings.threshold)
    times_s = []
    for frame in video.frames():
        detector.feed(frame)
        times_s.append(frame.time)
    times_s = np.asarray(times_s, np.float64) - times_s[0]
    if (np.diff(times_s) <= 0).any():
        number = int(np.argmax(np.diff(times_s) <= 0)) + 1
        raise Reject(
            "BAD_TIMESTAMPS", f"frame {number} is not later than the one before"
        )
    return times_s, detector.shots()


def _too_short(
    times_s: np.ndarray,
    shots: list[tuple[int, int]],
    settings: ShotsSettings,
    within: Sequence[tuple[float, float]],
) -> str:
    longest = max(times_s[end - 1] - times_s[start] for start, end in shots)
    parts = "" if within is clips.ALL else ", inside the parts that its rows name"
    return (
        f"the longest shot lasts {longest:.3g} seconds; a clip needs "
        f"{settings.min_seconds:g}, and {clips.TRIM} frames more at each end{parts}"
    )
