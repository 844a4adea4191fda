"""One video: decoded whole, its shots found, its clips cut."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from data_pipelines import clips
from data_pipelines.captions import Captions
from data_pipelines.decode import open_video
from data_pipelines.quarantine import Reject
from data_pipelines.settings import ShotsSettings
from data_pipelines.tables import Row

PART_BYTES = 16 << 20  # of what is kept of frames; the time limit is of one such part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """Some frames of a video in order: times, what the detector's eye kept of them."""

    times_s: list[float]
    kept: np.ndarray
    size: int  # bytes of the video up to here


def watch_source(source: Row, *, settings: ShotsSettings) -> Iterator[Seen]:
    """All frames, in one pass. Raises Reject."""
    eye = settings.kind.eye(settings.threshold)
    times_s, kept, size = [], [], 0
    with open_video(source["path"]) as video:
        for frame in video.frames():
            if size >= PART_BYTES:
                yield Seen(times_s=times_s, kept=np.stack(kept), size=video.size)
                times_s, kept, size = [], [], 0
            times_s.append(frame.time)
            kept.append(eye(frame))
            size += kept[-1].nbytes
        yield Seen(times_s=times_s, kept=np.stack(kept), size=video.size)


class Cutter:
    """Turns what was seen of a video into its clips; made once per worker."""

    def __init__(self, settings: ShotsSettings):
        self._settings = settings
        self._judge = settings.kind.judge(settings.weights(), settings.threshold)

    def __call__(self, source: Row, seen: Iterable[Seen]) -> list[Row]:
        """One row: how many shots, and the rows of the clips. Raises Reject."""
        noted: list[Seen] = []

        def kept() -> Iterator[np.ndarray]:
            for part in seen:
                noted.append(dataclasses.replace(part, kept=np.zeros(0)))
                yield from part.kept

        shots = self._judge(kept())
        times_s = _since_first([time for part in noted for time in part.times_s])
        within = _within(source)
        spans = self._spans(times_s, shots, within)
        if not spans:
            reason = _too_short(times_s, shots, self._settings, within)
            raise Reject("TOO_SHORT", reason)
        pixels = len(times_s) * source["height"] * source["width"]
        facts = {
            "source_id": source["id"],
            "height": source["height"],
            "width": source["width"],
            "fps": (len(times_s) - 1) / times_s[-1] if len(times_s) > 1 else None,
            "bits_per_pixel": 8 * noted[-1].size / pixels,
        }
        rows = [{**_row(source["id"], span), **facts} for span in spans]
        if within is not clips.ALL:
            rows = [r | {"part": s.part} for r, s in zip(rows, spans, strict=True)]
        return [{"shots": len(shots), "clips": rows}]

    def _spans(
        self,
        times_s: np.ndarray,
        shots: list[tuple[int, int]],
        within: Sequence[tuple[float, float]],
    ) -> list[clips.Span]:
        if len(times_s) == 1:
            return [clips.Span(start_s=0.0, end_s=0.0, first_frame=0, last_frame=0)]
        return clips.cut(
            times_s,
            shots,
            min_seconds=self._settings.min_seconds,
            max_seconds=self._settings.max_seconds,
            stride_seconds=self._settings.stride_seconds,
            within=within,
        )


def _since_first(times: list[float]) -> np.ndarray:
    """Seconds from the first frame. Raises Reject when they do not grow."""
    times_s = np.asarray(times, np.float64) - times[0]
    if (np.diff(times_s) <= 0).any():
        number = int(np.argmax(np.diff(times_s) <= 0)) + 1
        raise Reject(
            "BAD_TIMESTAMPS", f"frame {number} is not later than the one before"
        )
    return times_s


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
