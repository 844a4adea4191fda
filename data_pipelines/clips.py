"""Fixed-length clips inside shots, at one frame rate, and which of them to hold out."""

import dataclasses
import hashlib

import numpy as np

TRIM = 2  # frames dropped at each end of a shot: cuts blend into their neighbours
# A grid point this far past the last frame still takes it: containers round their
# times, to milliseconds at worst.
SLACK_S = 0.002


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """Which frames of which source; what Beam carries instead of pixels."""

    id: str
    source_id: str
    path: str
    frames: tuple[int, ...]  # source frame numbers, one per frame of the clip
    start_s: float
    caption: str | None
    label: int


def resample(times_s: np.ndarray, fps: float) -> np.ndarray:
    """Indices of the frames nearest to a regular grid of `fps` from the first frame on.

    Sources of that very rate keep each frame once; faster ones lose frames.
    """
    if len(times_s) == 1:
        return np.zeros(1, np.int64)
    last = int((times_s[-1] - times_s[0] + SLACK_S) * fps)
    grid_s = times_s[0] + np.arange(last + 1) / fps
    after = np.clip(np.searchsorted(times_s, grid_s), 1, len(times_s) - 1)
    nearer_before = grid_s - times_s[after - 1] <= times_s[after] - grid_s
    return after - nearer_before


def cut(
    times_s: np.ndarray,
    shots: list[tuple[int, int]],
    *,
    num_frames: int,
    stride: int,
    fps: float,
) -> list[tuple[int, ...]]:
    """The source frame numbers of every clip, in order of time."""
    clips = []
    for start, end in shots:
        start, end = start + TRIM, end - TRIM
        if end <= start:
            continue
        frames = start + resample(times_s[start:end], fps)
        for first in range(0, len(frames) - num_frames + 1, stride):
            clips.append(tuple(map(int, frames[first : first + num_frames])))
    return clips


def hold_out(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """(train, validation) of one source's clips, in order of time.

    The last clip is held out; clips that share a frame with it are in neither.
    """
    last = clips[-1]
    return [clip for clip in clips if clip.frames[-1] < last.frames[0]], [last]


def clip_id(
    source_id: str, frames: tuple[int, ...], fps: float, height: int, width: int
) -> str:
    """16 hex digits: equal for equal frames of equal bytes at an equal size."""
    facts = (source_id, frames[0], frames[-1], len(frames), float(fps), height, width)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
