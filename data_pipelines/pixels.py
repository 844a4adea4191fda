"""The pixels of clips, read in one pass per source and never kept longer than needed."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipelines.clips import Clip
from data_pipelines.decode import CentreCrop, open_video
from data_pipelines.quarantine import Reject
from data_pipelines.sources import source_id
from videogen.core.errors import DataError


def read_clips(
    clips: Sequence[Clip], height: int, width: int
) -> Iterator[tuple[Clip, np.ndarray]]:
    """(clip, float32 pixels_THWC in [-1, 1]) of each, in order.

    Clips of one source must be neighbours, in order of time. Raises DataError when a
    source no longer reads as it did when the clips were planned.
    """
    for path, group in itertools.groupby(clips, key=lambda clip: clip.path):
        try:
            yield from _read_source(path, list(group), height, width)
        except Reject as reject:
            raise DataError(
                f"{path} changed during the run: {reject.reason}; run encode again"
            ) from reject


def _read_source(
    path: str, waiting: list[Clip], height: int, width: int
) -> Iterator[tuple[Clip, np.ndarray]]:
    if source_id(path) != waiting[0].source_id:
        raise Reject("UNREADABLE", "other bytes than when it was inspected")
    wanted = {number for clip in waiting for number in clip.frames}
    crop = CentreCrop(height, width)
    kept: dict[int, np.ndarray] = {}
    with open_video(path) as video:
        for number, frame in enumerate(video.frames()):
            if number in wanted:
                kept[number] = crop(frame, video.pixel_aspect)
            while waiting and waiting[0].frames[-1] == number:
                clip = waiting.pop(0)
                levels_THWC = np.stack([kept[n] for n in clip.frames])
                yield clip, levels_THWC.astype(np.float32) / 127.5 - 1
            if not waiting:
                return
            kept = {n: image for n, image in kept.items() if n >= waiting[0].frames[0]}
    raise Reject("TRUNCATED", "fewer frames than when it was inspected")
