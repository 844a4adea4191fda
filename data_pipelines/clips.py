"""Spans of time inside shots: where clips are cut, before anyone knows a frame rate.

A span of T frames at a rate of f lasts (T - 1) / f seconds, from its first frame to its
last: so 2 seconds are 49 frames at 24 per second, and an image lasts 0.
"""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

TRIM = 2  # frames dropped at each end of a shot: cuts blend into their neighbours
# A frame this much too late is still in time: containers round, to milliseconds at worst.
SLACK_S = 0.002
ALL = ((-math.inf, math.inf),)  # no part of a video is left out
TIE_S = 1e-6  # of two frames that are equally near the earlier one is taken


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a source: seconds from its first frame, and which frames it touches."""

    start_s: float
    end_s: float
    first_frame: int
    last_frame: int  # inclusive
    part: int = 0  # of those that are wanted, the one it was cut from


@dataclasses.dataclass(frozen=True, kw_only=True)
class Caption:
    """Of a clip; and, unless it came with the video, who wrote it, or why nobody did."""

    text: str | None
    model: str = ""
    kind: str = ""
    reason: str = ""

    @property
    def made_by(self) -> dict[str, str]:
        """What a record says besides the text: nothing of one that came with the video."""
        facts = {"model": self.model, "kind": self.kind, "reason": self.reason}
        return {name: value for name, value in facts.items() if value}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """Which part of which source; what Beam carries instead of pixels."""

    id: str
    source_id: str
    path: str
    start_s: float
    first_frame: int  # of the source; the clip's frames lie between these two
    last_frame: int
    captions: tuple[Caption, ...]  # of the dataset's versions, v1 first
    label: int


def cut(
    times_s: np.ndarray,
    shots: Sequence[tuple[int, int]],
    *,
    min_seconds: float,
    max_seconds: float,
    stride_seconds: float,
    within: Sequence[tuple[float, float]] = ALL,
) -> list[Span]:
    """The spans of every shot [first, end), in order of time.

    A span is as long as it may be, the last of a shot as long as is left. The next one
    starts `stride_seconds` later, or, if that is 0, at the frame after its last. Each lies in
    one of the parts `within`, spans of seconds that may overlap; what two have in common is
    the shorter one's.
    """
    spans = []
    for (first, end), part in itertools.product(shots, range(len(within))):
        since_s, until_s = within[part]
        first = max(first + TRIM, int(np.searchsorted(times_s, since_s - SLACK_S)))
        end = min(end - TRIM, int(np.searchsorted(times_s, until_s + SLACK_S)))
        if end > first:
            inside = times_s[first:end]
            for start_s, end_s in windows(
                inside, min_seconds, max_seconds, stride_seconds
            ):
                spans.append(
                    Span(
                        start_s=start_s,
                        end_s=end_s,
                        first_frame=first + _nearest(inside, start_s),
                        last_frame=first + _nearest(inside, end_s),
                        part=part,
                    )
                )
    lengths = [until_s - since_s for since_s, until_s in within]
    spans.sort(key=lambda s: (s.first_frame, s.last_frame, lengths[s.part]))
    found: dict[tuple[str, str], Span] = {}
    for span in spans:
        found.setdefault(_times(span), span)
    return list(found.values())


def windows(
    times_s: np.ndarray, least: float, most: float, stride: float
) -> Iterator[tuple[float, float]]:
    """(start, end) in seconds of the spans of one shot whose frames are at these times."""
    start, last = float(times_s[0]), float(times_s[-1])
    number = 0
    while last - start + SLACK_S >= least:
        end = start + most
        yield start, min(end, last)
        if end + SLACK_S >= last:
            return
        number += 1
        if stride:
            start = float(times_s[0]) + number * stride
        else:
            after = _nearest(times_s, end) + 1
            if after == len(times_s):
                return
            start = float(times_s[after])


def span_id(source_id: str, span: Span) -> str:
    """16 hex digits: equal for an equal span of equal bytes."""
    facts = (source_id, *_times(span))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _times(span: Span) -> tuple[str, str]:
    """By which spans of a source are told apart."""
    return f"{span.start_s:.6f}", f"{span.end_s:.6f}"


def _nearest(times_s: np.ndarray, time_s: float) -> int:
    """The index of the frame nearest to a time, the earlier of two that are as near."""
    after = int(np.searchsorted(times_s, time_s))
    if after in (0, len(times_s)):
        return min(after, len(times_s) - 1)
    is_before = time_s - times_s[after - 1] <= times_s[after] - time_s + TIE_S
    return after - 1 if is_before else after
