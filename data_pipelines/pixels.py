"""The pixels and the sound of clips, from the guarded process that decodes them."""

import contextlib
import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipelines.clips import Clip
from data_pipelines.frames import read_source
from data_pipelines.guard import Guard, Limits
from data_pipelines.quarantine import RETRYABLE, Reject
from data_pipelines.sound import read_sounds
from videogen.core.errors import DataError


def read_levels(
    clips: Sequence[Clip], size: tuple[int, int, int], fps: float, limits: Limits
) -> Iterator[tuple[Clip, np.ndarray]]:
    """(clip, uint8 levels_THWC of that size) of each, in order.

    Clips of one source must be neighbours, in order of time. The next clip is decoded
    while this one is used. Raises DataError when a source no longer reads as it did when
    the clips were planned.
    """
    work = functools.partial(read_source, size=size, fps=fps)
    with contextlib.closing(Guard(limits)) as guard:
        for path, group in itertools.groupby(clips, key=lambda clip: clip.path):
            waiting = list(group)
            try:
                stream = guard.stream(work, waiting)
                yield from zip(waiting, stream, strict=True)
            except Reject as reject:
                raise DataError(told(path, reject)) from reject


def hear_clips(
    clips: Sequence[Clip], rate: int, num_samples: int, limits: Limits
) -> Iterator[tuple[Clip, np.ndarray, bool]]:
    """What `read_sounds` gives of the clips, in order, by a guarded process too."""
    work = functools.partial(read_sounds, rate=rate, num_samples=num_samples)
    with contextlib.closing(Guard(limits)) as guard:
        for path, group in itertools.groupby(clips, key=lambda clip: clip.path):
            try:
                yield from guard.stream(work, list(group))
            except Reject as reject:
                raise DataError(told(path, reject)) from reject


def told(path: str, reject: Reject) -> str:
    """Why a source no longer reads as it did, and what would help."""
    if reject.code in RETRYABLE:
        return (
            f"{path}: {reject.code}: {reject.reason}; the same command goes on here; "
            f"{RETRYABLE[reject.code]}"
        )
    return f"{path} changed during the run: {reject.reason}; run all phases again"
